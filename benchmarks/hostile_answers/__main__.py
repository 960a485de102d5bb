"""Measures the memory of each kind of process whose provider, or webhook receiver, answers without end or in drops.

`python -m benchmarks.hostile_answers [calls] [chats] [deliveries]` (all of them take 4 minutes)
"""

import sys
from collections.abc import Callable, Iterable

from benchmarks.hostile_answers import calls, chats, deliveries
from benchmarks.hostile_answers.servers import hostile_stack
from benchmarks.stack import print_table

PARTS: dict[str, Callable[[], Iterable[calls.Row]]] = {
    "calls": calls.rows,
    "chats": lambda: hostile_stack(chats.rows),
    "deliveries": lambda: hostile_stack(deliveries.rows),
}


def main() -> None:
    rows = [row for part in sys.argv[1:] or PARTS for row in PARTS[part]()]
    print_table(rows, ("what", "target", "largest RSS, longest"))


if __name__ == "__main__":
    main()
