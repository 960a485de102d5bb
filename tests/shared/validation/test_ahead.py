"""What is found in a file ahead of its check, while the file is being written, changes nothing in the report."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import pytest

from shared.datasets.storage import ahead as slicing
from shared.datasets.validation.check import check, options_ahead
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning import ahead, processes
from shared.datasets.validation.scanning.ahead import AheadFile, Known, examine_ahead
from shared.datasets.validation.scanning.range_result import RangeResult
from tests.shared.dataset_lines import GOOD, chat, lines

RANGE_BYTES, RANGES = 4_099, 4
SLICE_BYTES, MAX_LINE_BYTES = RANGES * RANGE_BYTES, 3_000
ERRORS = rules().ours.findings_in_wrong_lines
MANY = lines(*({"messages": chat(n)["messages"], "id": n} for n in range(600)))
WITHOUT_SYSTEM = lines(*({"messages": chat(n)["messages"][1:]} for n in range(600)))
SAME = lines({"messages": [*chat(1)["messages"][:2], {"role": "assistant", "content": "No."}]})
PAIRS = lines(*({"prompt": f"{n}?", "completion": f"{n}"} for n in range(2_000)))
FILES = {
    "good": lines(*map(chat, range(800))),
    "duplicates": GOOD * 60,
    "warnings": MANY + WITHOUT_SYSTEM,
    "the same answer": SAME * 700,
    "completions": PAIRS,
    "errors": (GOOD + b"{]\n\n" + lines(chat(3, tools=[]), chat(4, tools="none"))) * 40,
    "an error in each line": GOOD + b"{}\n" * (ERRORS - 1) * 3,
    "so wrong that the check stops": GOOD + (b"{}\n" * 40 + GOOD) * (ERRORS // 40) + GOOD * 60,
    "blank lines": GOOD + b"\n" * 200_000 + b"{}\n" + GOOD,
    "a byte order mark": b"\xef\xbb\xbf" + GOOD * 60,
    "no newline at its end": GOOD * 60 + lines(chat(99)).rstrip(),
    "long lines": b"".join(GOOD * 3 + lines(chat(n, note="x" * 900 * n)) for n in range(40)),
    "half a surrogate pair": (GOOD + lines(chat(1)).replace(b"brief", b"\\ud800")) * 50,
    "carriage returns": GOOD.replace(b"\n", b"\r\n") * 60,
    "no JSON lines": b"PK\x03\x04" + GOOD * 60,
}


pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the forked process only holds a lock


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of four ranges, so that small files have several."""
    monkeypatch.setattr(processes, "RANGE_BYTES", RANGE_BYTES)
    monkeypatch.setattr(processes, "MIN_PARALLEL_BYTES", 0)
    for module in (slicing, ahead):
        monkeypatch.setattr(module, "SLICE_BYTES", SLICE_BYTES)
        monkeypatch.setattr(module, "MAX_LINE_BYTES", MAX_LINE_BYTES)
    monkeypatch.setattr(ahead, "MAX_BYTES", 1 << 20)


class Growing:
    """A file that comes piece by piece, and what is found ahead in it."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self.path, self.found, self.content = folder / "train.jsonl", folder / "train.jsonl.ahead.part", content
        self.path.touch()
        self.found.write_bytes(b"its mark")

    def come(self, size: int, *, most_ranges: int = 1 << 30, examine: bool = True) -> None:
        """So many bytes are there now; examine them, at most so many ranges."""
        self.path.write_bytes(self.content[:size])
        left = iter(range(most_ranges))
        if examine:
            with self.opened() as (file, found), self.path.open("rb") as start:
                if (options := options_ahead(start)) is not None:
                    examine_ahead(file, found, options, lambda: next(left, None) is not None)

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        with self.path.open("rb") as file, self.found.open("r+b", buffering=0) as found:
            yield file, found

    def known_ranges(self) -> list[int]:
        with self.opened() as (file, found):
            known = Known(found, options_ahead(file), len(self.content))
            return [number for number in range(len(self.content) // RANGE_BYTES) if number in known]

    def check(self, count: int = 1) -> Report:
        """The report of the whole file, with what was found ahead."""
        self.path.write_bytes(self.content)
        with self.opened() as (file, found):
            known = Known(found, options_ahead(file), len(self.content))
            return check(file, processes=count, known=known)

    def check_all(self) -> Report:
        """The report without anything found ahead."""
        self.path.write_bytes(self.content)
        return check(self.path)


@pytest.fixture(params=FILES)
def growing(request: pytest.FixtureRequest, tmp_path: Path) -> Growing:
    return Growing(tmp_path, FILES[request.param])


@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_the_report_is_the_same_with_all_that_can_be_found_ahead(growing: Growing, pieces: int) -> None:
    for number in range(1, pieces + 1):
        growing.come(len(growing.content) * number // pieces)
    assert growing.check() == growing.check_all()


def test_the_report_is_the_same_with_some_ranges_found_ahead(growing: Growing) -> None:
    come_with_gaps(growing)
    assert growing.check() == growing.check_all()


@pytest.mark.parametrize("growing", ["warnings", "errors", "so wrong that the check stops"], indirect=True)
def test_several_processes_check_what_was_not_found_ahead(growing: Growing) -> None:
    come_with_gaps(growing)
    assert growing.check(2) == growing.check_all()


def come_with_gaps(growing: Growing) -> None:
    for number in range(1, 14):
        growing.come(len(growing.content) * number // 13, most_ranges=number % 7, examine=number % 3 > 0)


def test_whole_slices_are_found_ahead(tmp_path: Path) -> None:
    growing = Growing(tmp_path, FILES["good"])
    growing.come(len(growing.content))
    slices = (len(growing.content) - MAX_LINE_BYTES) // SLICE_BYTES
    assert slices > 3
    assert growing.known_ranges() == list(range(slices * RANGES))


def test_what_was_found_ahead_is_taken_and_not_looked_for_again(tmp_path: Path) -> None:
    growing = Growing(tmp_path, FILES["good"])
    growing.come(len(growing.content), examine=False)
    with growing.opened() as (file, found):
        options = options_ahead(file)
        assert options is not None
        AheadFile(found).keep(1, options, [RangeResult(lines=1_000_000)], is_whole=True)
    growing.come(len(growing.content))
    assert 1_000_000 < growing.check().lines < 1_000_800


def test_a_slice_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    growing = Growing(tmp_path, FILES["good"])
    for most in (2, 1, 3):
        growing.come(len(growing.content), most_ranges=most)
    assert growing.known_ranges() == list(range(6))
    assert growing.check() == growing.check_all()


def test_a_line_whose_end_has_not_come_is_left_to_the_check(tmp_path: Path) -> None:
    long = lines(chat(1, note="x" * 3 * SLICE_BYTES))
    growing = Growing(tmp_path, GOOD * 5 + long + GOOD * 30)
    growing.come(len(GOOD * 5) + 2 * SLICE_BYTES)
    assert 0 < len(growing.known_ranges()) * RANGE_BYTES < len(GOOD * 5)
    growing.come(len(growing.content))
    assert growing.check() == growing.check_all()


def test_after_so_much_that_is_wrong_nothing_more_is_examined_ahead(tmp_path: Path) -> None:
    growing = Growing(tmp_path, FILES["so wrong that the check stops"])
    growing.come(len(growing.content))
    known = len(growing.known_ranges())
    assert 0 < known * RANGE_BYTES < len(growing.content) - 2 * SLICE_BYTES
    assert growing.check().counts["check_stopped"] == 1


def test_results_that_would_take_too_much_of_the_disk_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MAX_BYTES", 4_096)
    growing = Growing(tmp_path, FILES["blank lines"])
    growing.come(len(growing.content))
    assert growing.known_ranges() == []
    assert growing.found.stat().st_size <= ahead.FIRST_BYTE + 4_096 * (1 + len(growing.content) // SLICE_BYTES)
    assert growing.check() == growing.check_all()


def test_a_broken_file_of_results_is_ignored_where_it_is_broken(tmp_path: Path) -> None:
    growing = Growing(tmp_path, FILES["errors"])
    growing.come(len(growing.content))
    whole, found, expected = len(growing.known_ranges()), growing.found.read_bytes(), growing.check_all()
    head, body = ahead.FIRST_BYTE + 3, ahead.FIRST_BYTE + ahead._HEAD.size + 200
    second = ahead.FIRST_BYTE + ahead.MAX_BYTES + 100
    for place in (head, head + 10, body, second):
        growing.found.write_bytes(found[:place] + bytes([found[place] ^ 1]) + found[place + 1 :])
        assert len(growing.known_ranges()) == whole - RANGES
        assert growing.check() == expected
    for broken in (b"", found[:second], os.urandom(len(found)), found[: ahead.FIRST_BYTE]):
        growing.found.write_bytes(broken)
        assert growing.check() == expected


def test_the_results_of_other_code_or_of_another_slice_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = Growing(tmp_path, FILES["good"])
    growing.come(len(growing.content))
    found = growing.found.read_bytes()
    slot = ahead.MAX_BYTES
    first, second = (found[ahead.FIRST_BYTE + slot * number :][:slot] for number in range(2))
    growing.found.write_bytes(found[: ahead.FIRST_BYTE] + second + first + found[ahead.FIRST_BYTE + 2 * slot :])
    assert min(growing.known_ranges()) == 2 * RANGES
    assert growing.check() == growing.check_all()
    growing.found.write_bytes(found)
    monkeypatch.setattr(ahead, "code_digest", lambda: b"of another release")
    assert growing.known_ranges() == []


def test_a_check_with_other_options_does_without(tmp_path: Path) -> None:
    content = FILES["good"].replace(b"Be brief", "東京特許許可局".encode())  # fewer tokens in the newer encoding
    growing = Growing(tmp_path, content)
    growing.come(len(growing.content))
    for asked in ({"tokens": False}, {"encoding": "cl100k_base"}, {"model": "gpt-4o-mini"}, {"provider": "azure"}):
        with growing.opened() as (file, found):
            known = Known(found, options_ahead(file), len(growing.content))
            assert known.bytes > 0
            assert check(file, known=known, **asked) == check(growing.path, **asked)


def test_a_slice_is_examined_by_one_process_at_a_time_and_by_another_if_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "found"
    path.write_bytes(b"its mark")
    ours, theirs = get_context("fork").Pipe()

    def hold() -> None:
        with path.open("r+b") as file, AheadFile(file).claim(1) as is_mine:
            theirs.send(is_mine)
            theirs.poll(None)

    process = get_context("fork").Process(target=hold, daemon=True)
    process.start()
    assert ours.recv()
    with path.open("r+b") as file:
        for number, is_free in ((0, True), (1, False), (2, True)):
            with AheadFile(file).claim(number) as is_mine:
                assert is_mine == is_free
        process.kill()
        process.join()
        with AheadFile(file).claim(1) as is_mine:
            assert is_mine
