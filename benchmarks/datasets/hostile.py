"""Measures the slowest files that we know: MB per second of CPU, for the rules and with tokens.

`python -m benchmarks.datasets.hostile [--mb 16] [--tokens] [--only TEXT]`
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import msgspec

from benchmarks.datasets.hostile_files import FILES, write
from benchmarks.datasets.hostile_lines import GOOD
from benchmarks.stack import print_table
from shared.datasets.validation.check import check

TARGET = 20  # MB per second of CPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=16, help="of each file")
    parser.add_argument("--tokens", action="store_true", help="also count tokens")
    parser.add_argument("--only", default="", help="files whose name has this text")
    asked = parser.parse_args()
    rows = [("decoding of small lines by msgspec, for comparison", "-", f"{_bare():.0f} MB/s")]
    slow = 0
    with TemporaryDirectory() as folder:
        for name in FILES:
            if asked.only in name:
                path = write(Path(folder) / "hostile.jsonl", name, asked.mb)
                speed = _speed(path, asked.tokens)
                slow += speed < TARGET
                rows.append((name, f"≥ {TARGET} MB/s", f"{speed:.1f} MB/s"))
    print_table([*rows, ("slower than the target", "0", str(slow))])


def _speed(path: Path, tokens: bool) -> float:
    """CPU of this process, not time: other load on the machine takes less part in it."""
    started = process_time()
    check(path, tokens=tokens, sha256="known")
    return path.stat().st_size / 1e6 / (process_time() - started)


def _bare() -> float:
    decode, started = msgspec.json.decode, process_time()
    for _ in range(100_000):
        decode(GOOD)
    return 100_000 * len(GOOD) / 1e6 / (process_time() - started)


if __name__ == "__main__":
    main()
