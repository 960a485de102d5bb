"""What `tunery datasets check` shows: errors with their lines, statistics, a histogram and the price."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from shared.datasets.pricing.estimate import Estimate, estimate
from shared.datasets.validation.check import check
from shared.datasets.validation.findings.codes import Severity
from shared.datasets.validation.findings.problem import Problem
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.statistics.results import Distribution, Statistics

WARNINGS_SHOWN = 3
RANGES_SHOWN = 8
# Where a line breaks differs from line to line, although the reason is the same.
_COLUMN = re.compile(r" at column [\d,]+")
BAR = 40
MAX_PROCESSES = 8


def check_with_progress(file: Path, model: str | None, method: str | None, provider: str, tokens: bool) -> Report:
    """The check on all cores; a moving bar on standard error if that is a terminal."""
    processes = min(os.cpu_count() or 1, MAX_PROCESSES)
    columns = (BarColumn(), TaskProgressColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        return check(
            file,
            model=model,
            method=method,
            provider=provider,
            tokens=tokens,
            processes=processes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def print_json(report: Report, model: str | None, method: str | None) -> None:
    price = estimate(report, model, method) if model else None
    body = msgspec.json.encode({"report": report, "estimate": price})
    sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")


def print_text(report: Report, file: Path, model: str | None, method: str | None) -> None:
    problems = problem_lines(report.problems, report.counts, str(file))
    shown: list[str] = [*problems, *_verdict(report, file), *_statistics(report.statistics)]
    if model:
        shown += _price(estimate(report, model, method))
    elif report.statistics.tokens:
        shown.append("For the price, say which --model you will train.")
    for line in shown:
        print(printable(line))


def printable(line: str) -> str:
    """What the data brings in must not steer the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in line).encode(errors="replace").decode()


def problem_lines(problems: list[Problem], counts: Mapping[str, int], file: str) -> Iterator[str]:
    """Each finding once, with the lines that have it; of a warning's code only the first few different ones.

    `counts` are all problems by code, of which `problems` may be the first alone.
    """
    groups: dict[tuple[str, str], list[Problem]] = {}
    for found in problems:
        groups.setdefault((found.code, _COLUMN.sub("", _sentence(found))), []).append(found)
    shown: Counter[str] = Counter()
    hinted: Counter[tuple[str, str | None]] = Counter()
    for (code, _), same in groups.items():
        shown[code] += 1
        if same[0].severity is Severity.WARNING and shown[code] > WARNINGS_SHOWN:
            continue
        where = f"{len(same):,} times, {_lines(same)}: " if len(same) > 1 else ""
        line = f":{same[0].line}" if same[0].line else ""  # a finding about the whole file has none
        yield f"{file}{line}: {code}: {where}{_sentence(same[0])}"
        hinted[code, same[0].hint] += 1
        if same[0].hint and hinted[code, same[0].hint] == 1:
            yield f"    {same[0].hint}."
    yield from _more(counts, file, groups)


def _more(counts: Mapping[str, int], file: str, groups: dict[tuple[str, str], list[Problem]]) -> Iterator[str]:
    for code, times in counts.items():
        kept = [same for (each, _), same in groups.items() if each == code]
        is_error = any(same[0].severity is Severity.ERROR for same in kept)
        shown = sum(map(len, kept if is_error else kept[:WARNINGS_SHOWN]))
        if times > shown:
            yield f"{file}: {code}: {times - shown:,} more"


def _lines(same: list[Problem]) -> str:
    """The lines of these problems as `lines 1–12, 15`; the first few ranges if there are many."""
    ranges: list[list[int]] = []
    for line in sorted({found.line or 0 for found in same}):
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    texts = [f"{first:,}" if first == last else f"{first:,}–{last:,}" for first, last in ranges]
    more = f" and {len(texts) - RANGES_SHOWN:,} more" if len(texts) > RANGES_SHOWN else ""
    return f"line{'' if texts == [f'{ranges[0][0]:,}'] else 's'} {', '.join(texts[:RANGES_SHOWN])}{more}"


def _sentence(found: Problem) -> str:
    place = f" ({found.path})" if found.path and found.path != "$" else ""
    warning = "warning: " if found.severity is Severity.WARNING else ""
    return f"{warning}{found.message}{place}"


def _verdict(report: Report, file: Path) -> Iterator[str]:
    if report.problems:
        yield ""
    warnings = sum(report.counts.values()) - report.n_errors
    what = f"{report.format or 'unknown format'}, {report.examples:,} examples, {report.bytes:,} bytes"
    yield f"{file}: {what}: {_many(report.n_errors, 'error')}, {_many(warnings, 'warning')}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}" if count else f"no {what}s"


def _statistics(found: Statistics) -> Iterator[str]:
    for name, values in (("messages", found.messages), ("tokens", found.tokens)):
        if values:
            yield (
                f"{name:9} {values.total:,} in all; per example {values.min:,} to {values.max:,}, "
                f"mean {values.mean:,.1f}, p5 {values.p5:,}, p50 {values.p50:,}, p95 {values.p95:,}"
            )
    if found.trained_tokens is not None and found.tokens:
        yield f"trained   {found.trained_tokens:,} tokens are the assistant's"
    if found.images:
        yield f"images    {found.images:,} in {found.image_examples:,} examples"
    for shape, times in list(found.shapes.items())[:WARNINGS_SHOWN]:
        yield f"shape     {times:,} × {shape}"
    if found.tokens:
        yield from _histogram(found.tokens)


def _histogram(values: Distribution) -> Iterator[str]:
    yield "tokens per example"
    most = max(bar.count for bar in values.histogram)
    for bar in values.histogram:
        length = -(-bar.count * BAR // most)
        yield f"{bar.low:>9,} – {bar.high:<9,} {'█' * length}{' ' if length else ''}{bar.count:,}"


def _price(found: Estimate) -> Iterator[str]:
    by = "" if found.epochs_chosen_by == "request" else ", as the provider will probably choose"
    if found.amount is None:
        yield f"price     unknown. {found.reason}."
        return
    amount = f"{found.amount:,.{2 if found.amount >= 1 else 4}f} {found.currency}"
    yield (
        f"price     {amount}: {found.billed_tokens:,} tokens in {found.epochs} epochs{by}, "
        f"{found.price_per_million_tokens} {found.currency} per million (since {found.price_since})"
    )
    for assumption in found.assumptions:
        yield f"          {assumption}."
