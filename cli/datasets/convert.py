"""Converts a file into JSON lines that can be trained on, row by row, and counts what became of each row."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from cli.datasets.conversion.csv_rows import csv_rows
from cli.datasets.conversion.encoding import find_encoding
from cli.datasets.conversion.examples import example_of, texts_of
from cli.datasets.conversion.json_rows import json_rows
from cli.datasets.conversion.names import plain
from cli.datasets.conversion.rows import FileProblem, Options, Row, RowProblem, SourceNotes
from cli.datasets.output import publish, unfinished_file
from cli.datasets.report import check_with_progress
from shared.datasets.validation.findings.report import Report

MAX_LEFT_OUT_LISTED = 1_000
MAX_LOST_NAMES = 1_000
END_MARK = "<|endoftext|>"
SNIFFED_CHARACTERS = 4_096


class LeftOut(msgspec.Struct, frozen=True):
    """A row that is not in the output. `row` counts a table's or an array's rows from 1."""

    line: int
    row: int | None
    reason: str


@dataclass
class Outcome:
    """What became of a file. `refusal` says why nothing was written; None if the target is complete."""

    notes: SourceNotes = field(default_factory=SourceNotes)
    rows_in: int = 0
    rows_out: int = 0
    empty_rows: int = 0
    rows_left_out: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    lost_fields: Counter[str] = field(default_factory=Counter)
    dropped_fields: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    trimmed_rows: int = 0
    end_marks: int = 0
    refusal: str | None = None
    file_problem: FileProblem | None = None
    report: Report | None = None

    def leave_out(self, row: Row, reason: str) -> None:
        self.rows_left_out += 1
        if len(self.left_out) < MAX_LEFT_OUT_LISTED:
            self.left_out.append(LeftOut(row.line, row.number, reason))

    def lose(self, names: Iterable[str], options: Options) -> None:
        """Count fields that are in no example; those that the caller dropped knowingly are counted apart."""
        for name in names:
            if plain(name) in options.drop:
                self.dropped_fields[plain(name)] += 1
            elif name in self.lost_fields or len(self.lost_fields) < MAX_LOST_NAMES:
                self.lost_fields[name] += 1


def convert_file(source: Path, target: Path | None, options: Options, *, skip_invalid: bool, strict: bool) -> Outcome:
    """Convert `source`, check the result, and make it `target`, which may be the source; None is standard output.

    Nothing is written if a row cannot be converted, unless `skip_invalid`; if a field would be lost and the caller is
    `strict`; or if there is no row at all. Raises OSError if the target cannot be written.
    """
    outcome = Outcome()
    with unfinished_file(target) as file:
        try:
            for row in _rows(source, options, outcome.notes):
                _convert(row, options, outcome, file)
        except FileProblem as problem:
            outcome.file_problem = problem
        outcome.lose(sorted(outcome.notes.outside_rows), options)
        outcome.refusal = _refusal(outcome, skip_invalid=skip_invalid, strict=strict)
        if outcome.refusal is None:
            file.flush()
            outcome.report = check_with_progress(Path(file.name), None, None, "openai", tokens=False)
            publish(file, target)
    return outcome


def _rows(source: Path, options: Options, notes: SourceNotes) -> Iterator[Row]:
    encoding = find_encoding(source, options.encoding, notes)
    with source.open(encoding=encoding, newline="") as file:
        start = file.read(SNIFFED_CHARACTERS).lstrip("\ufeff \t\r\n")
        file.seek(0)
        read = json_rows if start.startswith(("{", "[")) else csv_rows
        yield from read(file, options, notes)


def _convert(row: Row, options: Options, outcome: Outcome, file: IO[bytes]) -> None:
    outcome.rows_in += 1
    if row.value is None and row.problem is None:
        outcome.empty_rows += 1
        return
    try:
        if row.problem:
            raise RowProblem(row.problem)
        example, fields = example_of(row.value, options)
    except RowProblem as problem:
        outcome.leave_out(row, str(problem))
        return
    except RecursionError:
        outcome.leave_out(row, "it is nested too deeply")
        return
    file.write(_encoded(example.value) + b"\n")
    outcome.rows_out += 1
    outcome.shapes[example.shape] += 1
    outcome.trimmed_rows += fields.is_trimmed
    texts = texts_of(example.value)
    outcome.end_marks += any(text.endswith(END_MARK) for text in texts)
    outcome.lose([*fields.lost(texts), *fields.dropped], options)


def _encoded(example: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(example)
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(example).encode()


def _refusal(outcome: Outcome, *, skip_invalid: bool, strict: bool) -> str | None:
    if outcome.file_problem:
        return "The file cannot be read, so nothing is written."
    if outcome.rows_left_out and not skip_invalid:
        left_out = f"{outcome.rows_left_out:,} of {outcome.rows_in:,} rows cannot be converted"
        others = " To write the others, add --skip-invalid." if outcome.rows_out else ""
        return f"{left_out}, so nothing is written.{others}"
    if not outcome.rows_out:
        return "There is no row to convert, so nothing is written."
    if strict and outcome.lost_fields:
        return "Fields would be lost, and --strict is given, so nothing is written. Agree with --drop FIELD."
    return None
