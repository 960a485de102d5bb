"""Prints how many processes, connections and bytes Tunery needs for 10, 100 and 1,000 teams.

`python -m benchmarks.sizing [--measure]`

The table is reckoned from the figures in `measured.json`; `--measure` measures them anew on this machine, for ten
minutes. `teams.py` says what a team does, and how each row of the table comes about.
"""

import argparse
import json
from pathlib import Path

from benchmarks.sizing.teams import figures_table, needs_table

MEASURED = Path(__file__).with_name("measured.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the figures anew")
    if parser.parse_args().measure:
        from benchmarks.sizing.measuring import measure

        measured: dict[str, float] = {}
        for part in measure():
            measured |= part
            MEASURED.write_text(json.dumps(measured, indent=2) + "\n")
    measured = json.loads(MEASURED.read_text())
    print(f"{figures_table(measured)}\n\n{needs_table(measured)}")


if __name__ == "__main__":
    main()
