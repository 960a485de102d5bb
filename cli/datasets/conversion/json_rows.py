"""Reads the rows of JSON in every arrangement: lines, arrays, pretty-printed or glued objects, rows under a key."""

import re
from collections.abc import Iterator
from typing import Any, TextIO

from cli.datasets.conversion.documents import rows_of_document
from cli.datasets.conversion.json_text import BrokenValue, JsonText
from cli.datasets.conversion.names import ROWS, is_message, plain
from cli.datasets.conversion.rows import FileProblem, Options, Row, RowProblem, SourceNotes, is_empty, python_literal

_PYTHON_LIST = re.compile(r"\[\s*\{\s*'")
_WRAPPED = re.compile(r'\{\s*"([^"\\]{1,64})"\s*:\s*(?=\[\s*[{\[])')


def json_rows(file: TextIO, options: Options, notes: SourceNotes) -> Iterator[Row]:
    """The rows of a text that begins with a brace or a bracket. Arrays of rows are never held as a whole."""
    text = JsonText(file)
    notes.layout = "JSON lines"
    while first := text.next_character():
        if first == "[" and _holds_rows(text):
            notes.layout = "a JSON array"
            yield from _elements(text)
        elif first == "{" and (name := _rows_ahead(text, options)):
            notes.layout = f"JSON with the rows under `{name}`"
            yield from _elements(text)
            _take_rest_of_object(text, name, notes)
        else:
            yield from _rows_of_value(text, options, notes)


def _holds_rows(text: JsonText) -> bool:
    """Whether the array that begins here has rows; one that begins with a message is a conversation, a single row."""
    try:
        first = text.element_ahead()
    except RowProblem:
        return text.match_ahead(_PYTHON_LIST) is None
    return isinstance(first, dict | list) and not is_message(first)


def _rows_ahead(text: JsonText, options: Options) -> str | None:
    """The name under which the object that begins here holds rows, if it is a usual one; goes to their array."""
    match = text.match_ahead(_WRAPPED)
    if match is None or options.rows is not None or plain(match[1]) not in ROWS:
        return None
    text.skip(match)
    if not _holds_rows(text):
        raise FileProblem(text.line, f"`{match[1]}` holds messages, not rows. Write each conversation as an object")
    return match[1]


def _elements(text: JsonText) -> Iterator[Row]:
    """The elements of the array that begins here, each a row. Raises `FileProblem` if the array's end is not found.

    Behind a broken element in the middle of a line nothing shows where the next one begins, so that rows would be lost.
    """
    begin, number = text.line, 0
    text.take_character()
    while (first := text.next_character()) not in ("]", ""):
        number += 1
        yield _row(text, number)
    if not first:
        message = f"the array that begins in line {begin} has no end that can be found: the file is cut off or broken"
        raise FileProblem(text.line, message)
    text.take_character()


def _row(text: JsonText, number: int | None) -> Row:
    line = text.line
    try:
        return _whole(Row(line, text.take_value(), number))
    except BrokenValue as problem:
        text.skip_broken_value()
        return Row(line, None, number, str(problem))
    except RowProblem as problem:
        return Row(line, None, number, str(problem))


def _whole(row: Row) -> Row:
    """The row; with a problem if it holds nothing, which only a table's rows may."""
    if row.value is None or row.value == {}:
        return row._replace(problem="expected a JSON object, but this is " + ("null" if row.value is None else "empty"))
    return row


def _rows_of_value(text: JsonText, options: Options, notes: SourceNotes) -> Iterator[Row]:
    line = text.line
    try:
        value = text.take_value()
    except BrokenValue as problem:
        yield from _python_rows(text, line, str(problem), notes)
        return
    except RowProblem as problem:
        yield Row(line, None, None, str(problem))
        return
    rows = rows_of_document(value, options, notes, line)
    if rows is None:
        yield _whole(Row(line, value))
    else:
        yield from (_whole(Row(line, row, number)) for number, row in enumerate(rows, start=1))


def _python_rows(text: JsonText, line: int, problem: str, notes: SourceNotes) -> Iterator[Row]:
    """The rows of a line in Python's notation, as `print` writes them; otherwise the problem of the line as JSON."""
    written = text.take_line()
    value = python_literal(written.rstrip().removesuffix(","))
    if value is None:
        text.skip_broken_value()
        yield Row(line, None, None, problem)
        return
    text.skip_line(written)
    notes.layout = "lines in Python's notation"
    if isinstance(value, list) and not is_message(value[0] if value else None):
        yield from (_whole(Row(line, row, number)) for number, row in enumerate(value, start=1))
    else:
        yield _whole(Row(line, value))


def _take_rest_of_object(text: JsonText, rows_name: str, notes: SourceNotes) -> None:
    """Go behind the object whose rows have been read; the names of what else it holds are noted."""
    while (first := text.next_character()) == '"':
        try:
            name, value = text.take_value(), _value_after_colon(text)
        except RowProblem as problem:
            raise FileProblem(text.line, f"after the rows: {problem}") from None
        if isinstance(value, list) and value and isinstance(value[0], dict):
            message = f"`{rows_name}` and `{name}` both hold rows. Say which to read, for example --rows {rows_name}"
            raise FileProblem(text.line, message)
        if not is_empty(value):
            notes.outside_rows.add(str(name))
    if first != "}":
        raise FileProblem(text.line, "the object around the rows is not closed: the file is cut off")
    text.take_character()


def _value_after_colon(text: JsonText) -> Any:
    if text.next_character() != ":":
        raise RowProblem("a colon is missing after a name")
    text.take_character()
    text.next_character()
    return text.take_value()
