"""A check stops where a file is so wrong that nothing more is learned; until then its counts are exact."""

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest

from shared.datasets.validation.check import check
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.processes import RANGE_BYTES
from shared.datasets.validation.scanning.scanner import RangeScanner, ScanOptions
from tests.shared.dataset_lines import GOOD, chat, checked, lines

MOST = rules().ours.findings_in_wrong_lines
MOST_IN_A_LINE = rules().ours.line_findings
WITHOUT_SYSTEM = b'{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hi."}]}\n'
WRONG = [b"{]\n", b"{}\n", b"[]\n", b'{"messages":[{"role":"user","content":"Hi"}]}\n']


def stop_of(report: Report) -> str:
    return next(found.message for found in report.problems if found.code == "check_stopped")


@pytest.mark.parametrize("wrong", WRONG)
def test_counts_are_exact_beyond_the_problems_that_are_listed(wrong: bytes) -> None:
    report = checked(GOOD + wrong * (MOST - 1))
    assert (report.n_errors, len(report.errors)) == (MOST - 1, 1000)
    assert [error.line for error in report.errors] == list(range(13, 1013))
    assert "check_stopped" not in report.counts
    assert str(report.sentence()).endswith(f"And {MOST - 4:,} more.")


@pytest.mark.parametrize(("line", "listed"), [(WITHOUT_SYSTEM, 100), (b"{}\n", 1000)])
def test_a_range_keeps_no_place_of_what_earlier_ones_have_enough_of(line: bytes, listed: int) -> None:
    size, scanner = len(line) * (listed - 1), RangeScanner(ScanOptions(format="chat"))
    ranges = [scanner.scan(BytesIO(line * 3 * listed), *edges) for edges in pairwise([0, size, 2 * size, 3 * size])]
    kept = [len(each.errors or each.warnings) for each in ranges]
    assert kept == [listed - 1, 1, 0]
    assert [sum(each.counts.values()) for each in ranges] == [listed - 1] * 3


def test_after_so_many_errors_the_lines_are_only_counted() -> None:
    report = checked(GOOD + b"{}\n" * MOST + b"\n{}\n" * 40_000 + GOOD)
    assert report.counts["missing_messages_list"] == MOST
    assert (report.lines, report.examples) == (12 + MOST + 80_000 + 12, 12 + MOST + 40_000 + 12)
    assert report.counts["blank_line"] == 40_000
    assert stop_of(report).startswith(f"The check stopped at line {12 + MOST + 1:,}: {MOST:,} things are wrong")
    assert str(report.sentence()).endswith(f"And at least {MOST - 2:,} more.")
    assert not report.valid


def test_a_file_that_ends_with_its_last_error_was_checked_as_a_whole() -> None:
    report = checked(GOOD + b"{}\n" * MOST)
    assert (report.n_errors, report.lines) == (MOST, 12 + MOST)
    assert "check_stopped" not in report.counts


def test_warnings_never_stop_a_check() -> None:
    without_system = lines(*({"messages": chat(n)["messages"][1:], "id": n} for n in range(MOST + 2000)))
    report = checked(without_system + b"{]\n")
    assert report.counts["missing_system_message"] == report.counts["unrecognized_key"] == MOST + 2000
    assert [error.line for error in report.errors] == [MOST + 2001]


def test_it_stops_at_the_same_line_in_any_number_of_processes(tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    padding = b" " * 1_000
    path.write_bytes(GOOD + (padding + b"{}\n" + padding + GOOD) * (10 * RANGE_BYTES // 2_000))
    one, two = (check(path, tokens=False, processes=processes) for processes in (1, 2))
    assert one == two
    assert one.counts["check_stopped"] == 1


def test_of_a_line_with_very_many_findings_only_the_first_are_reported() -> None:
    keys = {f"key{number}": 1 for number in range(3 * MOST_IN_A_LINE)}
    report = checked(GOOD + lines({**chat(1), **keys}))
    assert not report.valid
    assert report.counts["unrecognized_key"] == MOST_IN_A_LINE
    assert [(error.code, error.line) for error in report.errors] == [("too_many_findings", 13)]


def test_a_line_with_fewer_findings_is_examined_to_its_end() -> None:
    keys = {f"key{number}": 1 for number in range(MOST_IN_A_LINE)}
    report = checked(GOOD + lines({**chat(1), **keys}))
    assert report.valid
    assert report.counts["unrecognized_key"] == MOST_IN_A_LINE
