"""Prints every figure that Tunery is compared by, beside its target, in one run; ends with 1 if a target is missed.

`python -m benchmarks.compare [PART …]`

The parts are installation, gateway, datasets, requests, uploads, webhooks and watching; without one all run, for half
an hour. The last five are the benchmarks of these names, as processes of their own. The gateway is LiteLLM's, from the
file that TUNERY_BENCHMARK_GATEWAY names, or from the path: `litellm`, installed in an environment of its own.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.compare import gateway, installation
from benchmarks.compare.verdict import Row, rows_of_table, verdict
from benchmarks.stack import noted, print_table
from cli.local.commands import ROOT

PROGRAMS = {
    "datasets": ["--mb", "128"],
    "requests": [],
    "uploads": [],
    "webhooks": [],
    "watching": [],
}
PARTS: dict[str, Callable[[], Iterator[Row]]] = {"installation": installation.rows, "gateway": gateway.rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join([*PARTS, *PROGRAMS]))
    asked = parser.parse_args().parts or [*PARTS, *PROGRAMS]
    if unknown := set(asked) - PARTS.keys() - PROGRAMS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    rows, is_missed = [("load before", "-", installation.load())], False
    for part in asked:
        print(f"{part} …", file=sys.stderr, flush=True)
        for what, target, measured in noted(PARTS[part]() if part in PARTS else _of_program(part)):
            judged = verdict(target, measured)
            is_missed |= judged is False
            rows.append((what, target, f"{measured}  MISSED" if judged is False else measured))
    print_table(rows)
    sys.exit(is_missed)


def _of_program(name: str) -> Iterator[Row]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *PROGRAMS[name]]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    yield from rows_of_table(ended.stdout)
    if ended.returncode != 0:
        last_words = ended.stderr.strip().rpartition("\n")[2]
        yield f"python -m benchmarks.{name}: exit code", "= 0", f"{ended.returncode}: {last_words}"


if __name__ == "__main__":
    main()
