"""Finds the examples that two files share, exactly or nearly, in bounded memory."""

from io import BytesIO

import pytest

from shared.datasets.validation import overlap as overlapping
from shared.datasets.validation.overlap import overlap
from tests.shared.dataset_lines import GOOD, chat, lines

FIRST = lines(chat(1))


def test_two_files_that_share_examples_overlap() -> None:
    validation = lines(chat(50), chat(3)) + lines(chat(4)).replace(b"What", b"WHAT")
    found = overlap(BytesIO(validation), BytesIO(GOOD))
    assert (found.examples, found.exact, found.near, found.complete) == (3, 1, 1, True)
    assert [(problem.line, problem.message) for problem in found.problems] == [
        (2, "the example is the same as line 4 of the other file"),
        (3, "the example is nearly the same as line 5 of the other file"),
    ]


def test_the_larger_of_two_files_can_be_compared_with_the_smaller() -> None:
    validation = lines(chat(3)) + lines(chat(4)).replace(b"What", b"WHAT")
    found = overlap(BytesIO(GOOD), BytesIO(validation))
    assert (found.examples, found.exact, found.near, found.complete) == (12, 1, 1, True)
    assert [problem.line for problem in found.problems] == [4, 5]


def test_of_larger_files_the_beginnings_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = overlap(BytesIO(GOOD), BytesIO(GOOD), max_bytes=len(lines(*map(chat, range(6)))))
    assert (cut.examples, cut.exact, cut.complete) == (6, 6, False)
    monkeypatch.setattr(overlapping, "MAX_COMPARED_LINES", 5)
    few = overlap(BytesIO(GOOD), BytesIO(GOOD + GOOD))
    assert (few.examples, few.exact, few.complete) == (5, 5, False)


@pytest.mark.parametrize(
    ("file", "other", "counts"),
    [
        (b"", b"", (0, 0, 0)),
        (b"\n \n", GOOD, (0, 0, 0)),
        (GOOD, b"", (12, 0, 0)),
        (GOOD, GOOD, (12, 12, 0)),
        (FIRST, GOOD, (1, 1, 0)),
        (FIRST * 3, GOOD, (3, 3, 0)),
        (b"\n" + FIRST.strip(), GOOD, (1, 1, 0)),
        (FIRST.replace(b"\n", b"\r\n"), GOOD, (1, 1, 0)),
        (FIRST.replace(b"What", b"what"), GOOD, (1, 0, 1)),
        (FIRST.replace(b"What is", b"What\\tis"), GOOD, (1, 0, 1)),
        (FIRST.replace(b"What", b"Which"), GOOD, (1, 0, 0)),
        (lines(chat(50)), GOOD, (1, 0, 0)),
    ],
)
def test_the_same_and_nearly_the_same_examples_are_counted_apart(
    file: bytes, other: bytes, counts: tuple[int, int, int]
) -> None:
    found = overlap(BytesIO(file), BytesIO(other))
    assert (found.examples, found.exact, found.near) == counts
    assert {problem.code for problem in found.problems} <= {"in_both_files"}
    assert len(found.problems) == found.exact + found.near
