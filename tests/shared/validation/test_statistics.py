"""Statistics are exact where they say so, and the same however the examples are divided into ranges."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.statistics.builder import MAX_SHAPES, StatisticsBuilder, ValueCounts
from shared.datasets.validation.statistics.results import Bar, Truncation


def counted(*values: int) -> ValueCounts:
    counts = ValueCounts()
    for value in values:
        counts.add(value)
    return counts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7], (7, 7, 7, 7.0, 7, 7, 7)),
        ([0, 0], (0, 0, 0, 0.0, 0, 0, 0)),
        ([1, 2], (3, 1, 1, 1.5, 1, 2, 2)),
        ([1, 2, 3], (6, 1, 1, 2.0, 2, 3, 3)),
        (list(range(1, 101)), (5050, 1, 5, 50.5, 50, 95, 100)),
        ([10_000, 10_001], (20_001, 10_000, 10_000, 10_000.5, 10_000, 10_000, 10_001)),
        ([12_345], (12_345, 12_345, 12_300, 12_345.0, 12_300, 12_300, 12_345)),
        ([999_999], (999_999, 999_999, 1_000_000, 999_999.0, 1_000_000, 1_000_000, 999_999)),
    ],
)
def test_a_distribution_of_values(values: list[int], expected: tuple[float, ...]) -> None:
    found = counted(*values).distribution()
    assert found
    assert (found.total, found.min, found.p5, found.mean, found.p50, found.p95, found.max) == expected


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([0, 15], [Bar(0, 15, 2)]),
        ([15, 16], [Bar(0, 15, 1), Bar(16, 31, 1)]),
        ([16, 100], [Bar(16, 31, 1), Bar(32, 63, 0), Bar(64, 127, 1)]),
        ([1 << 20], [Bar(1 << 20, (1 << 21) - 1, 1)]),
    ],
)
def test_the_bars_of_a_histogram_double_in_width(values: list[int], bars: list[Bar]) -> None:
    found = counted(*values).distribution()
    assert found
    assert found.histogram == bars


def test_no_values_have_no_distribution() -> None:
    assert ValueCounts().distribution() is None
    assert StatisticsBuilder().build(tokens_counted=True).messages is None


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.integers(0, 10**7), min_size=1), st.integers(0, 20))
def test_merged_counts_are_those_of_all_values(values: list[int], cut: int) -> None:
    merged = counted(*values[:cut])
    merged.merge(counted(*values[cut:]))
    assert merged == counted(*values)


@pytest.mark.parametrize(
    ("tokens", "truncation"),
    [
        ([9, 10], []),
        ([11], [Truncation(10, 1, 1)]),
        ([11, 25], [Truncation(10, 2, 16), Truncation(20, 1, 5)]),
    ],
)
def test_truncation_is_counted_for_each_limit(tokens: list[int], truncation: list[Truncation]) -> None:
    whole, first, second = StatisticsBuilder(), StatisticsBuilder(), StatisticsBuilder()
    for number, each in enumerate(tokens):
        whole.add_tokens(each, 1, [10, 20])
        (first if number else second).add_tokens(each, 1, [10, 20])
    first.merge(second)
    assert whole.build(tokens_counted=True).truncation == first.build(tokens_counted=True).truncation == truncation


def test_tokens_are_left_out_where_they_were_not_counted() -> None:
    found = StatisticsBuilder().build(tokens_counted=False)
    assert (found.tokens, found.trained_tokens) == (None, None)


def test_shapes_are_sorted_by_frequency_and_beyond_200_counted_together() -> None:
    builder, other = StatisticsBuilder(), StatisticsBuilder()
    for number in range(MAX_SHAPES):
        builder.add_shape(f"shape {number}", 3)
    builder.add_shape("shape 7", 3, times=2)
    other.add_shape("one more", 4, times=5)
    builder.merge(other)
    shapes = builder.build(tokens_counted=False).shapes
    assert len(shapes) == MAX_SHAPES + 1
    assert list(shapes.items())[:2] == [("other", 5), ("shape 7", 3)]
