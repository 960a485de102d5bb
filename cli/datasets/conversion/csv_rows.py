"""Reads the rows of a table in the forms that spreadsheets write: any separator, a `sep=` line, empty edges."""

import csv
import re
from collections.abc import Iterator
from typing import Any, TextIO

from cli.datasets.conversion.names import IN_EXAMPLES, plain
from cli.datasets.conversion.rows import FileProblem, Options, Row, SourceNotes

MAX_FIELD_CHARACTERS = 32 << 20
HEADER_CHARACTERS = 1 << 16
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^\r\n])"?[^\S\r\n]*(?:\r\n|\r|\n)', re.IGNORECASE)
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


def csv_rows(file: TextIO, options: Options, notes: SourceNotes) -> Iterator[Row]:
    """Each row below the header; the header is row 1, as spreadsheets count. A row without any text has no value."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    start = file.read(HEADER_CHARACTERS)
    named = _SEPARATOR_LINE.match(start)
    separator = named["separator"] if named else _separator_of(start, options)
    has_spaces = _cells_begin_with_spaces(start[named.end() if named else 0 :], separator)
    file.seek(0)
    lines_before = 0
    if named:
        file.readline()
        lines_before = 1
    notes.layout = f"a table, separated by {_SEPARATORS.get(separator, separator)}"
    reader = csv.reader(file, delimiter=separator, skipinitialspace=has_spaces, strict=True)
    begin = lines_before + 1
    header: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            number += 1
            if header is None:
                header = _header(cells, begin, options) if any(cell.strip() for cell in cells) else None
            else:
                yield _row(header, cells, begin, number)
            begin = lines_before + reader.line_num + 1
    except csv.Error as error:
        raise FileProblem(begin, f"not CSV: {_sentence(error)}") from None


def _sentence(error: csv.Error) -> str:
    if "end of data" in str(error):
        return "the quotation mark that opens in this row is never closed"
    if "expected after" in str(error):
        return 'after a closing quotation mark comes more text. Write a quotation mark inside a cell twice: ""'
    return str(error)


def _separator_of(start: str, options: Options) -> str:
    """The separator that splits the first row into the most known names, or else into the most cells."""

    def score(separator: str) -> tuple[int, int]:
        cells = _first_row(start, separator)
        names = (plain(cell) for cell in cells)
        return sum(options.rename.get(name, name) in IN_EXAMPLES for name in names), len(cells)

    best = max(_SEPARATORS, key=score)  # the first of equals
    if not _first_row(start, best):
        return ","
    return best


def _first_row(start: str, separator: str, skip_spaces: bool = False) -> list[str]:
    lines = start.splitlines(keepends=True)
    try:
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=skip_spaces)
        return next((row for row in rows if any(cell.strip() for cell in row)), [])
    except csv.Error:
        return []


def _cells_begin_with_spaces(start: str, separator: str) -> bool:
    """Whether a hand puts a space behind each separator, so that quotation marks come after it."""
    return any(cell.startswith(" ") for cell in _first_row(start, separator)[1:])


def _header(cells: list[str], line: int, options: Options) -> list[str]:
    """The names of the columns. Raises `FileProblem` where they show that the file is no table at all."""
    names = [cell.strip("\ufeff \t\r\n") for cell in cells]
    seen: dict[str, str] = {}
    for name in filter(None, names):
        if plain(name) in seen:
            raise FileProblem(line, f"two columns are called `{name[:40]}`. Give one of them another name")
        seen[plain(name)] = name
    if len(seen) == 1 and not seen.keys() & (IN_EXAMPLES | {"text"} | options.rename.keys()):
        shown = f"«{names[0][:40]}»"
        message = f"the file is neither JSON nor a table: its first line, {shown}, is not the names of several columns"
        raise FileProblem(line, message)
    return names


def _row(header: list[str], cells: list[str], line: int, number: int) -> Row:
    if not any(cell.strip() for cell in cells):
        return Row(line, None, number)
    if any(cell.strip() for cell in cells[len(header) :]):
        message = f"the row has more fields than the header ({len(header)}): a text with the separator needs quotes"
        return Row(line, None, number, message)
    value: dict[str, Any] = {}
    for index, name in enumerate(header):
        value[name or f"column {index + 1}"] = cells[index] if index < len(cells) else ""
    return Row(line, value, number)
