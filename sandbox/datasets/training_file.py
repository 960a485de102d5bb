"""What the sandbox keeps of a training file: its examples, for the tuned model's replies, and its billed tokens."""

from pathlib import Path
from typing import Any

from msgspec import structs

from sandbox.datasets import tokens
from wire_server import training_file
from wire_server.training_file import Contents, Example

MAX_REMEMBERED = 2_000
MAX_REMEMBERED_CHARACTERS = 4_000_000


class Dataset(Contents, kw_only=True):
    """The contents of a training file. `tokens`: those that one epoch is billed for."""

    tokens: int
    examples: tuple[Example, ...]


def read(path: Path) -> Dataset:
    """Checks and counts the examples, and keeps the first MAX_REMEMBERED of them."""
    examples: list[Example] = []
    billed, room = 0, MAX_REMEMBERED_CHARACTERS

    def see(record: dict[str, Any], example: Example) -> None:
        nonlocal billed, room
        billed += tokens.of_example(record)
        room -= len(example.question) + len(example.reply)
        if room > 0 and len(examples) < MAX_REMEMBERED:
            examples.append(example)

    contents = structs.asdict(training_file.read(path, see))
    return Dataset(**contents, tokens=billed, examples=tuple(examples))
