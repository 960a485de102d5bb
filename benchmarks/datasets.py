"""What checking a dataset costs: against bare decoding, against the checks of OpenAI's cookbook, and for a large file.

`python -m benchmarks.datasets [--mb 200] [--token-mb 128] [--large-mb 1000]`

The texts are documents that lie on this machine, reflowed into paragraphs, since chats are prose, and some code as it
stands. No piece comes twice until all are used up, and then each is cut elsewhere.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psutil

from benchmarks.stack import print_table
from shared.datasets.validation import check
from shared.datasets.validation.tokens import encoding

SYSTEM = (
    "You are the assistant of a company. Answer briefly and politely, in the customer's language; never guess. " * 10
)
ROOTS = (Path(sys.base_prefix), Path(sys.prefix), Path("/usr/share/doc"), Path("/usr/lib/node_modules"))
DOCUMENTS = {".md", ".rst", ".txt", ".html"}
TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
ROLES = ("system", "user", "assistant", "function")
KEYS = ("role", "content", "name", "function_call", "weight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=200, help="for structure and rules")
    parser.add_argument("--token-mb", type=int, default=128, help="for tokens")
    parser.add_argument("--large-mb", type=int, default=1000, help="for everything at once")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = [
            *_structure(_chat_file(Path(folder) / "chat.jsonl", asked.mb, system=True)),
            *_tokens(
                "half of it a repeated system prompt", "5", _chat_file(Path(folder) / "a", asked.token_mb, system=True)
            ),
            *_tokens("no repeated text", "2.5", _chat_file(Path(folder) / "b", asked.token_mb, system=False)),
            *_large(_chat_file(Path(folder) / "large", asked.large_mb, system=True)),
        ]
    print_table(rows)


Row = tuple[str, str, str]


def _structure(path: Path) -> Iterator[Row]:
    bare, cookbook = _speed(path, lambda: _bare(path)), _speed(path, lambda: _cookbook(path))
    known = sha256(path.read_bytes()).hexdigest()  # as after an upload, where the bytes were hashed on their way in
    one = _speed(path, lambda: check(path, tokens=False, sha256=known))
    two = _speed(path, lambda: check(path, tokens=False, sha256=known, processes=2))
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
    """The checks of OpenAI's notebook, but line by line: errors by kind, missing messages, and what its tables need."""
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


def _chat_file(path: Path, megabytes: int, *, system: bool) -> Path:
    """Lines of 1 kB, each with one or two questions and answers, or of 2 kB with a system prompt like every other."""
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
    """Texts of 100 to 700 characters from the files of this machine, over and over."""
    chance = random.Random(2)
    for round_ in range(1_000_000):
        for path in _files(chance):
            text = path.read_text(encoding="utf-8", errors="ignore")
            if path.suffix != ".py":
                text = "\n".join(" ".join(part.split()) for part in TAG.sub(" ", text).split("\n\n") if part.strip())
            place = chance.randrange(100) * round_
            while len(piece := text[place : place + chance.randrange(100, 700)].strip()) > 50:
                place += len(piece) + 1
                yield piece


def _files(chance: random.Random) -> list[Path]:
    found = sorted(path for root in ROOTS if root.is_dir() for path in root.rglob("*") if path.is_file())
    small = [path for path in found if path.stat().st_size < 1_000_000]
    documents = [path for path in small if path.suffix in DOCUMENTS]
    code = chance.sample([path for path in small if path.suffix == ".py"], k=len(documents) // 10)
    return chance.sample(documents + code, k=len(documents) + len(code))


if __name__ == "__main__":
    main()
