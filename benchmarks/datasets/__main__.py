"""Measures the speed of the dataset check beside bare JSON decoding and OpenAI's cookbook, and its memory for 1 GB.

`python -m benchmarks.datasets [--mb 200] [--token-mb 128] [--large-mb 1000]`
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psutil

from benchmarks.datasets.chat_files import (
    an_error_each,
    long_documents,
    short_messages,
    text_parts,
    tool_calls,
    weights_and_names,
)
from benchmarks.stack import print_table
from shared.datasets.validation.check import check
from shared.datasets.validation.tokens.encoding import encoding

ROLES = ("system", "user", "assistant", "function")
KEYS = ("role", "content", "name", "function_call", "weight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=200, help="for structure and rules")
    parser.add_argument("--token-mb", type=int, default=128, help="for tokens")
    parser.add_argument("--large-mb", type=int, default=1000, help="for everything at once")
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        folder, mb, token_mb = Path(name), asked.mb, asked.token_mb
        rows = [
            ("load before", "-", ", ".join(f"{each:.1f}" for each in os.getloadavg())),
            *_structure("short messages", short_messages(folder / "short", mb)),
            *_structure("long documents", long_documents(folder / "long", mb)),
            *_beside_cookbook("tool calls", tool_calls(folder / "tools", mb)),
            *_beside_cookbook("tool calls, each line with its own tools", tool_calls(folder / "own", mb, own=True)),
            *_beside_cookbook("weights and names", weights_and_names(folder / "weights", mb)),
            *_beside_cookbook("text parts", text_parts(folder / "parts", mb)),
            *_beside_cookbook("an error in each line", an_error_each(folder / "errors", mb)),
            *_ends_alike(short_messages(folder / "alike", mb, alike=True)),
            *_tokens("half of it a repeated system prompt", "5", long_documents(folder / "a", token_mb)),
            *_tokens("no repeated text", "2.5", long_documents(folder / "b", token_mb, system=False)),
            *_large(long_documents(folder / "large", asked.large_mb)),
        ]
    print_table(rows)


Row = tuple[str, str, str]


def _structure(what: str, path: Path) -> Iterator[Row]:
    known = _sha256(path)
    bare, cookbook, one, two = _speeds(
        path,
        lambda: _bare(path),
        lambda: _cookbook(path),
        lambda: check(path, tokens=False, sha256=known),
        lambda: check(path, tokens=False, sha256=known, processes=2),
    )
    yield f"bare msgspec decoding, {what}", "-", f"{bare:.0f} MB/s"
    yield "… the cookbook's checks", "-", f"{cookbook:.0f} MB/s"
    yield "… structure and rules, one process", "≥ 250 MB/s", f"{one:.0f} MB/s"
    yield "… … against the cookbook's checks", "≥ 2.3 ×", f"{one / cookbook:.2f} ×"
    yield "… … against bare decoding", "≥ 0.6 ×", f"{one / bare:.2f} ×"
    yield "… two processes, against the cookbook's checks", "≥ 4 ×", f"{two / cookbook:.2f} × ({two:.0f} MB/s)"


def _beside_cookbook(what: str, path: Path) -> Iterator[Row]:
    """Speed of structure and rules for lines with tools, weights, parts or errors."""
    known = _sha256(path)
    cookbook, one, two = _speeds(
        path,
        lambda: _cookbook(path),
        lambda: check(path, tokens=False, sha256=known),
        lambda: check(path, tokens=False, sha256=known, processes=2),
        times=2,
    )
    yield f"the cookbook's checks, {what}", "-", f"{cookbook:.0f} MB/s"
    yield "… structure and rules, one process; two", "-", f"{one:.0f}; {two:.0f} MB/s"


def _ends_alike(path: Path) -> Iterator[Row]:
    """The worst case of the search for duplicates: it reads all lines again and compares them whole."""
    size, known = path.stat().st_size / 1e6, _sha256(path)
    one, two = _speeds(
        path,
        lambda: check(path, tokens=False, sha256=known),
        lambda: check(path, tokens=False, sha256=known, processes=2),
    )
    yield f"{size:.0f} MB of lines that all end alike, one process", "-", f"{size / one:.2f} s"
    yield "… two processes", "< 2 s for 200 MB", f"{size / two:.2f} s"


def _sha256(path: Path) -> str:
    """Computed outside the measurement: the api has it after an upload, since it hashes the bytes as they arrive."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _tokens(what: str, target: str, path: Path) -> Iterator[Row]:
    cookbook, one, two = _speeds(
        path,
        lambda: _cookbook(path, encoding("o200k_base").encode_ordinary),
        lambda: check(path, processes=1),
        lambda: check(path, processes=2),
        times=2,
    )
    yield f"cookbook and tiktoken, {what}", "-", f"{cookbook:.1f} MB/s"
    yield "… with exact tokens, one process", "-", f"{one / cookbook:.1f} × ({one:.0f} MB/s)"
    yield "… with exact tokens, two processes", f"≥ {target} ×", f"{two / cookbook:.1f} × ({two:.0f} MB/s)"


def _large(path: Path) -> Iterator[Row]:
    """Checks the file in a process of its own, to measure the memory of it and its children."""
    code = (
        "import sys; from shared.datasets.validation.check import check; print(check(sys.argv[1], processes=2).valid)"
    )
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as process:
        peak = _peak_of_family(psutil.Process(process.pid))
        process.wait()
    seconds = time.monotonic() - started
    yield f"{path.stat().st_size / 1e9:.1f} GB, everything, two processes", "< 40 s for 1 GB", f"{seconds:.1f} s"
    yield "… largest RSS of all its processes together", "≤ 400 MB", f"{peak / 1e6:.0f} MB"


def _peak_of_family(process: psutil.Process) -> int:
    peak = 0
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            peak = max(peak, sum(one.memory_info().rss for one in (process, *process.children())))
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.02)
    return peak


def _speeds(path: Path, *works: Callable[[], object], times: int = 3) -> list[float]:
    """The best MB/s of each of several rounds; other load on the machine can only make a round slower."""
    best = [float("inf")] * len(works)
    for _ in range(times):
        for index, work in enumerate(works):
            started = time.monotonic()
            work()
            best[index] = min(best[index], time.monotonic() - started)
    return [path.stat().st_size / 1e6 / seconds for seconds in best]


def _bare(path: Path) -> None:
    decode = msgspec.json.decode
    with path.open("rb") as file:
        for line in file:
            decode(line)


def _cookbook(path: Path, encode: Callable[[str], list[int]] | None = None) -> dict[str, int]:
    """The checks of OpenAI's notebook, line by line: errors by kind, missing messages, numbers for its tables."""
    found: dict[str, int] = defaultdict(int)
    n_messages, tokens, answer_tokens = [], [], []
    with path.open(encoding="utf-8") as file:
        for line in file:
            messages = json.loads(line).get("messages")
            if not messages:
                found["missing_messages_list"] += 1
                continue
            for error in _cookbook_errors(messages):
                found[error] += 1
            found["missing_system"] += not any(message["role"] == "system" for message in messages)
            found["missing_user"] += not any(message["role"] == "user" for message in messages)
            n_messages.append(len(messages))
            if encode:
                tokens.append(3 + sum(3 + sum(len(encode(text)) for text in m.values()) for m in messages))
                answer_tokens.append(sum(len(encode(m["content"])) for m in messages if m["role"] == "assistant"))
    found["over_the_limit"] = sum(count > 65_536 for count in tokens)
    return found


def _cookbook_errors(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        if "role" not in message or "content" not in message:
            yield "message_missing_key"
        if any(key not in KEYS for key in message):
            yield "message_unrecognized_key"
        if message.get("role", None) not in ROLES:
            yield "unrecognized_role"
        content = message.get("content", None)
        if (not content and not message.get("function_call", None)) or not isinstance(content, str):
            yield "missing_content"
    if not any(message.get("role", None) == "assistant" for message in messages):
        yield "example_missing_assistant_message"


if __name__ == "__main__":
    main()
