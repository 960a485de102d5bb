"""What the readers of all kinds of files give to the conversion: rows, with the line where each begins."""

import ast
import json
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_LITERAL_CHARACTERS = 1 << 22  # Python's parser needs about a hundred times as much memory as the text has


class Row(NamedTuple):
    """A row of a file. `line` counts from 1; `number` too, and is None where a row is a line.

    A row that cannot be read has no value but a `problem`; one whose cells are all empty has neither.
    """

    line: int
    value: Any = None
    number: int | None = None
    problem: str | None = None


class RowProblem(Exception):
    """The reason why no example can be made of a row."""


class FileProblem(Exception):
    """The reason why the file cannot be read on from a line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Options:
    """What the caller has decided. Names of fields and roles are in their plain form (`plain`)."""

    system: str | None = None
    drop: Collection[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    rows: str | None = None


@dataclass
class SourceNotes:
    """How a file was read, filled in while it is read: what the caller should know to trust the result."""

    layout: str = ""
    encoding: str = "UTF-8"
    guessed_from: str | None = None
    outside_rows: set[str] = field(default_factory=set)


def kind(value: Any) -> str:
    """What a JSON value is, for a sentence."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "an object")


def is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def python_literal(text: str) -> Any:
    """The lists and objects that a text in Python's own notation (`{'a': None}`) stands for; None for any other."""
    if not text.lstrip().startswith(("{", "[")) or len(text) > MAX_LITERAL_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns of what only looks like Python, on standard error
            return json.loads(json.dumps(ast.literal_eval(text.strip()), allow_nan=False))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def structured(value: Any) -> Any:
    """The list or object that a text holds as JSON or in Python's notation; any other value unchanged.

    Tables keep lists in their cells as such texts, and so do trainers that allow a field one type only.
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = python_literal(value)
    return value if found is None else found
