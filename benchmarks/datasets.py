"""What checking a dataset costs: against bare decoding, against the checks of OpenAI's cookbook, and for a large file.

`python -m benchmarks.datasets [--mb 200] [--token-mb 40] [--large-mb 1000]`

The texts are those that lie on this machine (sources and documents), no piece of them twice until they are used up.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psutil

from benchmarks.stack import print_table
from shared.datasets.tokens import encoding
from shared.datasets.validation import check

SYSTEM = (
    "You are the assistant of a company. Answer briefly and politely, in the customer's language; never guess. " * 5
)
ROOTS = (Path(sys.base_prefix), Path(sys.prefix), Path("/usr/share/doc"), Path("/usr/lib/node_modules"))
SUFFIXES = {".md", ".rst", ".txt", ".py", ".html", ".ts"}
ROLES = ("system", "user", "assistant", "function")
KEYS = ("role", "content", "name", "function_call", "weight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=200, help="for structure and rules")
    parser.add_argument("--token-mb", type=int, default=40, help="for tokens")
    parser.add_argument("--large-mb", type=int, default=1000, help="for everything at once")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = [
            *_structure(_chat_file(Path(folder) / "chat.jsonl", asked.mb, system=True)),
            *_tokens("a repeated system prompt", "5", _chat_file(Path(folder) / "a", asked.token_mb, system=True)),
            *_tokens("no repeated text", "2.5", _chat_file(Path(folder) / "b", asked.token_mb, system=False)),
            *_large(_chat_file(Path(folder) / "large", asked.large_mb, system=True)),
        ]
    print_table(rows)


Row = tuple[str, str, str]


def _structure(path: Path) -> Iterator[Row]:
    bare, cookbook = _speed(path, lambda: _bare(path)), _speed(path, lambda: _cookbook(path))
    one = _speed(path, lambda: check(path, tokens=False))
    two = _speed(path, lambda: check(path, tokens=False, processes=2))
    yield "bare msgspec decoding", "-", f"{bare:.0f} MB/s"
    yield "the cookbook's checks", "-", f"{cookbook:.0f} MB/s"
    yield "structure and rules, one process", "≥ 250 MB/s", f"{one:.0f} MB/s"
    yield "… against the cookbook's checks", "≥ 2.3 ×", f"{one / cookbook:.2f} ×"
    yield "… against bare decoding", "≥ 0.6 ×", f"{one / bare:.2f} ×"
    yield "… two processes, against the cookbook's checks", "≥ 4 ×", f"{two / cookbook:.2f} × ({two:.0f} MB/s)"


def _tokens(what: str, target: str, path: Path) -> Iterator[Row]:
    cookbook = _speed(path, lambda: _cookbook(path, encoding("o200k_base").encode_ordinary), times=1)
    one = _speed(path, lambda: check(path, processes=1), times=1)
    two = _speed(path, lambda: check(path, processes=2), times=2)
    yield f"cookbook and tiktoken, {what}", "-", f"{cookbook:.1f} MB/s"
    yield "… with exact tokens, one process", "-", f"{one / cookbook:.1f} × ({one:.0f} MB/s)"
    yield "… with exact tokens, two processes", f"≥ {target} ×", f"{two / cookbook:.1f} × ({two:.0f} MB/s)"


def _large(path: Path) -> Iterator[Row]:
    """In a process of its own, whose memory and whose children's is watched."""
    code = "import sys; from shared.datasets.validation import check; print(check(sys.argv[1], processes=2).valid)"
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


def _speed(path: Path, work: Callable[[], object], times: int = 3) -> float:
    """MB/s of the best of some tries: what else runs on the machine only ever slows one down."""
    seconds = []
    for _ in range(times):
        started = time.monotonic()
        work()
        seconds.append(time.monotonic() - started)
    return path.stat().st_size / 1e6 / min(seconds)


def _bare(path: Path) -> None:
    decode = msgspec.json.decode
    with path.open("rb") as file:
        for line in file:
            decode(line)


def _cookbook(path: Path, encode: Callable[[str], list[int]] | None = None) -> dict[str, int]:
    """The checks of OpenAI's notebook, line by line: `json`, a loop over messages, counts by kind of error."""
    errors: dict[str, int] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            messages = json.loads(line).get("messages")
            if not messages:
                errors["missing_messages_list"] = errors.get("missing_messages_list", 0) + 1
                continue
            for error in _cookbook_errors(messages):
                errors[error] = errors.get(error, 0) + 1
            if encode:
                sum(3 + sum(len(encode(value)) for value in message.values()) for message in messages)
    return errors


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


def _chat_file(path: Path, megabytes: int, *, system: bool) -> Path:
    """Lines of about 1.3 kB, each with one or two questions and answers."""
    chance, pieces, size = random.Random(1), _pieces(), 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * 1_000_000:
            messages = [{"role": "system", "content": SYSTEM}] if system else []
            for _ in range(chance.choice((1, 1, 2))):
                messages.append({"role": "user", "content": next(pieces)})
                messages.append({"role": "assistant", "content": next(pieces)})
            size += file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    return path


def _pieces() -> Iterator[str]:
    """Texts of 100 to 700 characters from the files of this machine, over and over, cut elsewhere each time."""
    chance = random.Random(2)
    for round_ in range(1_000_000):
        for path in _files():
            text = path.read_text(errors="ignore")
            place = chance.randrange(100) * round_
            while len(piece := text[place : place + chance.randrange(100, 700)].strip()) > 50:
                place += len(piece) + 1
                yield piece


def _files() -> Iterator[Path]:
    found = (path for root in ROOTS if root.is_dir() for path in root.rglob("*") if path.suffix in SUFFIXES)
    return (path for path in found if path.is_file() and path.stat().st_size < 1_000_000)


if __name__ == "__main__":
    main()
