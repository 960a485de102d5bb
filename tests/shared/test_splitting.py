"""A dataset is split at random by a seed, with duplicates in one part and no part empty."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.sources import SplitSource
from shared.datasets.splitting import lines_of, validation_lines
from shared.errors import Invalid

LINES = [b"line %d\n" % number for number in range(100)]


def validation(count: int, lines: list[bytes], seed: int = 0) -> list[bytes]:
    chosen = validation_lines(count, seed, lines)
    assert chosen is not None
    return list(lines_of("validation", lines, chosen))


@pytest.mark.parametrize("count", [1, 2, 50, 99])
def test_as_many_lines_are_for_validation_as_were_asked_for(count: int) -> None:
    assert len(validation(count, LINES)) == count


def test_a_seed_always_chooses_the_same_lines_and_another_seed_others() -> None:
    assert validation(20, LINES, seed=1) == validation(20, LINES, seed=1)
    assert validation(20, LINES, seed=1) != validation(20, LINES, seed=2)


@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30).filter(lambda each: len(set(each)) > 1), st.data())
def test_both_parts_together_are_the_file_and_share_nothing(numbers: list[int], data: st.DataObject) -> None:
    lines = [b"Line %d!\n" % number if number % 2 else b"line  %d\n" % number for number in numbers]
    chosen = validation_lines(data.draw(st.integers(1, len(lines) - 1)), 0, lines)
    assert chosen is not None
    parts = [list(lines_of(part, lines, chosen)) for part in ("training", "validation")]
    assert sorted(parts[0] + parts[1]) == sorted(lines)
    assert all(parts)
    assert not set(parts[0]) & set(parts[1])


@pytest.mark.parametrize("lines", [[b"a\n", b"A\n"], [b"a\n"], [b"a\n", b"\n", b"a!\n"]])
def test_lines_that_are_all_the_same_cannot_be_split(lines: list[bytes]) -> None:
    assert validation_lines(1, 0, lines) is None


def test_a_last_line_without_an_end_gets_one_and_blank_lines_are_left_out() -> None:
    lines = [b"a\n", b" \n", b"b"]
    assert list(lines_of("training", lines, lambda _: False)) == [b"a\n", b"b\n"]


@pytest.mark.parametrize(
    ("fraction", "examples", "expected"),
    [(0.1, 100, 10), (0.5, 3, 2), (0.01, 10, 1), (0.99, 10, 9), (0.999, 2, 1)],
)
def test_a_fraction_leaves_neither_part_empty(fraction: float, examples: int, expected: int) -> None:
    source = SplitSource(split_of="file-1", part="training", fraction=fraction, seed=0)
    assert source.validation_examples(examples) == expected


@pytest.mark.parametrize(("count", "examples"), [(10, 10), (11, 10)])
def test_a_count_that_leaves_nothing_to_train_on_is_refused(count: int, examples: int) -> None:
    with pytest.raises(Invalid) as raised:
        SplitSource(split_of="file-1", part="training", count=count, seed=0).validation_examples(examples)
    assert raised.value.param == "split.count"
