"""Collects the statistics of a dataset while it is read, in memory that does not grow with the file."""

import msgspec

from shared.datasets.validation.statistics.results import Bar, Distribution, Statistics, Truncation

MAX_EXACT_VALUE = 10_000
MAX_SHAPES = 200
OTHER_SHAPES = "other"
SMALLEST_BAR_BITS = 4  # the first bar is 0–15


class ValueCounts(msgspec.Struct):
    """How often each value occurred. Values above 10,000 are rounded to three digits; total, low and high are exact."""

    counts: dict[int, int] = {}
    total: int = 0
    low: int | None = None
    high: int = 0

    def add(self, value: int, times: int = 1) -> None:
        self.total += value * times
        self.high = max(self.high, value)
        self.low = value if self.low is None else min(self.low, value)
        rounded = _rounded(value)
        self.counts[rounded] = self.counts.get(rounded, 0) + times

    def merge(self, other: "ValueCounts") -> None:
        self.total += other.total
        self.high = max(self.high, other.high)
        if other.low is not None:
            self.low = other.low if self.low is None else min(self.low, other.low)
        for value, times in other.counts.items():
            self.counts[value] = self.counts.get(value, 0) + times

    def distribution(self) -> Distribution | None:
        n = sum(self.counts.values())
        if self.low is None or not n:
            return None
        ordered = sorted(self.counts.items())
        return Distribution(
            total=self.total,
            min=self.low,
            p5=_percentile(ordered, n, 0.05),
            mean=round(self.total / n, 2),
            p50=_percentile(ordered, n, 0.5),
            p95=_percentile(ordered, n, 0.95),
            max=self.high,
            histogram=_histogram(ordered),
        )


def _rounded(value: int) -> int:
    if value <= MAX_EXACT_VALUE:
        return value
    unit = int("1" + "0" * (len(str(value)) - 3))
    return round(value / unit) * unit


def _percentile(ordered: list[tuple[int, int]], n: int, share: float) -> int:
    """The smallest value that is at least as large as this share of all values."""
    seen = 0
    for value, times in ordered:
        seen += times
        if seen >= share * n:
            return value
    return ordered[-1][0]


def _histogram(ordered: list[tuple[int, int]]) -> list[Bar]:
    """Bars that double in width: 0–15, 16–31, 32–63, …"""
    counts: dict[int, int] = {}
    for value, times in ordered:
        bits = max(SMALLEST_BAR_BITS, value.bit_length())
        counts[bits] = counts.get(bits, 0) + times
    return [
        Bar(0 if bits == SMALLEST_BAR_BITS else 1 << (bits - 1), (1 << bits) - 1, counts.get(bits, 0))
        for bits in range(min(counts), max(counts) + 1)
    ]


class StatisticsBuilder(msgspec.Struct):
    """Running totals of the examples without errors; `merge` adds those of the next range, `build` ends the count.

    `truncated` holds, by token limit, how many examples are longer and by how many tokens in all.
    """

    messages: ValueCounts = msgspec.field(default_factory=ValueCounts)
    tokens: ValueCounts = msgspec.field(default_factory=ValueCounts)
    trained: int = 0
    images: int = 0
    image_examples: int = 0
    shapes: dict[str, int] = {}
    truncated: dict[int, list[int]] = {}

    def add_shape(self, name: str, n_messages: int, times: int = 1) -> None:
        self.messages.add(n_messages, times)
        self._count_shape(name, times)

    def _count_shape(self, name: str, times: int) -> None:
        if name not in self.shapes and len(self.shapes) >= MAX_SHAPES:
            name = OTHER_SHAPES
        self.shapes[name] = self.shapes.get(name, 0) + times

    def add_images(self, images: int) -> None:
        """Count the images of one example."""
        self.images += images
        self.image_examples += bool(images)

    def add_tokens(self, tokens: int, trained: int, limits: list[int]) -> None:
        """Count one example. `limits` are the models' token limits in ascending order."""
        self.tokens.add(tokens)
        self.trained += trained
        for limit in limits:
            if tokens <= limit:
                break
            self._count_truncated(limit, 1, tokens - limit)

    def _count_truncated(self, limit: int, examples: int, tokens: int) -> None:
        counted = self.truncated.setdefault(limit, [0, 0])
        counted[0] += examples
        counted[1] += tokens

    def merge(self, other: "StatisticsBuilder") -> None:
        self.messages.merge(other.messages)
        self.tokens.merge(other.tokens)
        self.trained += other.trained
        self.images += other.images
        self.image_examples += other.image_examples
        for name, times in other.shapes.items():
            self._count_shape(name, times)
        for limit, (examples, tokens) in other.truncated.items():
            self._count_truncated(limit, examples, tokens)

    def build(self, *, tokens_counted: bool) -> Statistics:
        return Statistics(
            messages=self.messages.distribution(),
            tokens=self.tokens.distribution() if tokens_counted else None,
            trained_tokens=self.trained if tokens_counted else None,
            truncation=[Truncation(limit, *counted) for limit, counted in sorted(self.truncated.items())],
            images=self.images,
            image_examples=self.image_examples,
            shapes=dict(sorted(self.shapes.items(), key=lambda item: -item[1])),
        )
