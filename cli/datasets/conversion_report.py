"""What `tunery datasets convert` says about a conversion: counts, reasons with their lines, losses, the verdict."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cli.datasets.convert import END_MARK, MAX_LEFT_OUT_LISTED, LeftOut, Outcome

MAX_REASONS_SHOWN = 20
MAX_LINES_SHOWN = 12


def print_conversion(outcome: Outcome, source: Path, target: Path | None, *, as_json: bool) -> None:
    """Print the text to standard error; JSON to standard output, unless the examples themselves went there."""
    if as_json:
        stream = sys.stdout if target else sys.stderr
        stream.write(
            msgspec.json.format(msgspec.json.encode(_as_object(outcome, source, target)), indent=2).decode() + "\n"
        )
        return
    for line in [*_problems(outcome, source), *_counts(outcome, source), *_losses(outcome), *_verdict(outcome, target)]:
        print(printable(line), file=sys.stderr)


def printable(line: str) -> str:
    """A line in which nothing that comes from the data can steer the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in line).encode(errors="replace").decode()


def _as_object(outcome: Outcome, source: Path, target: Path | None) -> dict[str, Any]:
    report = outcome.report
    return {
        "source": str(source),
        "target": str(target) if target else None,
        "written": outcome.refusal is None,
        "refusal": outcome.refusal,
        "file_problem": outcome.file_problem
        and {"line": outcome.file_problem.line, "reason": str(outcome.file_problem)},
        "layout": outcome.notes.layout or None,
        "encoding": outcome.notes.encoding,
        "encoding_guessed_from": outcome.notes.guessed_from,
        "rows_in": outcome.rows_in,
        "rows_out": outcome.rows_out if outcome.refusal is None else 0,
        "rows_empty": outcome.empty_rows,
        "rows_left_out": outcome.rows_left_out,
        "left_out": outcome.left_out,
        "lost_fields": dict(outcome.lost_fields),
        "dropped_fields": dict(outcome.dropped_fields),
        "shapes": dict(outcome.shapes),
        "rows_with_spaces_removed": outcome.trimmed_rows,
        "rows_with_end_marks": outcome.end_marks,
        "check": report
        and {
            "valid": report.valid,
            "format": report.format,
            "examples": report.examples,
            "errors": report.n_errors,
            "counts": report.counts,
            "sentence": report.sentence(),
        },
    }


def _problems(outcome: Outcome, source: Path) -> Iterator[str]:
    """The reasons why rows are left out, each once with all its lines, and why the file could not be read on."""
    by_reason: dict[str, list[LeftOut]] = {}
    for row in outcome.left_out:
        by_reason.setdefault(row.reason, []).append(row)
    for reason, rows in list(by_reason.items())[:MAX_REASONS_SHOWN]:
        first = rows[0]
        number = f"row {first.row:,}: " if first.row else ""
        yield f"{source}:{first.line}: {number}{reason}"
        if len(rows) > 1:
            yield f"    The same in {_lines(rows)}."
    if len(by_reason) > MAX_REASONS_SHOWN:
        yield f"    And {len(by_reason) - MAX_REASONS_SHOWN:,} more reasons; --json has them."
    if outcome.rows_left_out > MAX_LEFT_OUT_LISTED:
        yield f"    These are the first {MAX_LEFT_OUT_LISTED:,} of {outcome.rows_left_out:,} rows that are left out."
    if outcome.file_problem:
        line = f"{outcome.file_problem.line}: " if outcome.file_problem.line else " "
        yield f"{source}:{line}{outcome.file_problem}"


def _lines(rows: Sequence[LeftOut]) -> str:
    """Where the rows after the first are: by lines, or by their numbers where several are in one line."""
    by_line = len({row.line for row in rows}) == len(rows)
    what, numbers = ("line", [r.line for r in rows]) if by_line else ("row", [r.row or r.line for r in rows])
    numbers = numbers[1:]
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [f"{low}" if low == high else f"{low}–{high}" for low, high in ranges[:MAX_LINES_SHOWN]]
    more = f" and more ({len(numbers):,} in all)" if len(ranges) > MAX_LINES_SHOWN else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}"


def _counts(outcome: Outcome, source: Path) -> Iterator[str]:
    if outcome.rows_in:
        shapes = ", ".join(f"{times:,} × {shape}" for shape, times in outcome.shapes.most_common(6))
        read = f"{outcome.notes.layout}, {outcome.notes.encoding}" + (f"; {shapes}" if shapes else "")
        yield f"{source}: {read}"
        left_out = f"{outcome.rows_left_out + outcome.empty_rows:,} left out"
        empty = f" ({outcome.empty_rows:,} of them empty)" if outcome.empty_rows else ""
        out = outcome.rows_out if outcome.refusal is None else 0
        yield f"    {_many(outcome.rows_in, 'row')} in, {out:,} out, {left_out}{empty}"
    if outcome.notes.guessed_from and outcome.rows_in:
        yield (
            f"    The file is not UTF-8 and was read as {outcome.notes.encoding}: «{outcome.notes.guessed_from}». "
            "If that is wrong, name its encoding with --encoding."
        )
    if outcome.trimmed_rows:
        yield f"    Spaces around prompt and completion were removed in {_many(outcome.trimmed_rows, 'row')}."
    if outcome.end_marks:
        yield (
            f"    {_many(outcome.end_marks, 'answer')} of a completion model end in «{END_MARK}». A chat model learns "
            "to write it: remove it from the file if you do not want that."
        )


def _losses(outcome: Outcome) -> Iterator[str]:
    for name, times in outcome.lost_fields.most_common():
        drop = f'"{name}"' if not name.isidentifier() else name
        lost = f"`{name}` has no place in an example and is lost in {_many(times, 'row')}"
        yield f"    {lost}. If you agree: --drop {drop}"
    for name, times in outcome.dropped_fields.items():
        said = f"is left out as --drop says, in {_many(times, 'row')}" if times else "is in no row, but in --drop"
        yield f"    `{name}` {said}."


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _verdict(outcome: Outcome, target: Path | None) -> Iterator[str]:
    if outcome.refusal is not None:
        yield f"Refused: {outcome.refusal}"
        return
    are = (" is in" if outcome.rows_out == 1 else " are in") + f" {target}" if target else ""
    yield f"{_many(outcome.rows_out, 'example')}{are}"
    report = outcome.report
    if report:
        warnings = sum(report.counts.values()) - report.n_errors
        found = f"{_many(report.n_errors, 'error')}, {_many(warnings, 'warning')}"
        yield f"Checked: {report.format or 'unknown format'}, {found}. {report.sentence() or 'It can be trained on.'}"
    if target:
        yield f"Next: ./tunery datasets check {target}"
