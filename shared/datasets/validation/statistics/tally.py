"""Counts what is in a dataset while it is read, in memory that does not grow with it."""

import msgspec

from shared.datasets.validation.findings.report import Bar, Distribution, Statistics, Truncation
from shared.datasets.validation.rules.formats import MAX_SHAPES

EXACT_UP_TO = 10_000
OTHER_SHAPES = "other"


class Values(msgspec.Struct):
    """How often each value was seen; those over 10,000 are rounded to three digits, total and ends are exact."""

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

    def merge(self, other: "Values") -> None:
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
            histogram=_histogram(ordered, self.high),
        )


def _rounded(value: int) -> int:
    if value <= EXACT_UP_TO:
        return value
    unit = int("1" + "0" * (len(str(value)) - 3))
    return round(value / unit) * unit


def _percentile(ordered: list[tuple[int, int]], n: int, share: float) -> int:
    """The smallest value that at least this share of all values does not exceed."""
    seen = 0
    for value, times in ordered:
        seen += times
        if seen >= share * n:
            return value
    return ordered[-1][0]


def _histogram(ordered: list[tuple[int, int]], high: int) -> list[Bar]:
    """Bars that double in width: 0–15, 16–31, 32–63, …"""
    bars: dict[int, int] = {}
    for value, times in ordered:
        bars[max(4, value.bit_length())] = bars.get(max(4, value.bit_length()), 0) + times
    last = max(bars)
    return [
        Bar(0 if bits == 4 else 1 << (bits - 1), (1 << bits) - 1, bars.get(bits, 0))
        for bits in range(min(bars), last + 1)
    ]


class Tally(msgspec.Struct):
    """Of the examples without an error."""

    messages: Values = msgspec.field(default_factory=Values)
    tokens: Values = msgspec.field(default_factory=Values)
    trained: int = 0
    images: int = 0
    image_examples: int = 0
    shapes: dict[str, int] = {}
    truncated: dict[int, list[int]] = {}

    def add_shape(self, name: str, n_messages: int, times: int = 1) -> None:
        self.messages.add(n_messages, times)
        self._add_name(name, times)

    def _add_name(self, name: str, times: int) -> None:
        if name not in self.shapes and len(self.shapes) >= MAX_SHAPES:
            name = OTHER_SHAPES
        self.shapes[name] = self.shapes.get(name, 0) + times

    def add_tokens(self, tokens: int, trained: int, limits: list[int]) -> None:
        self.tokens.add(tokens)
        self.trained += trained
        for limit in limits:
            if tokens <= limit:
                break
            cut = self.truncated.setdefault(limit, [0, 0])
            cut[0] += 1
            cut[1] += tokens - limit

    def merge(self, other: "Tally") -> None:
        self.messages.merge(other.messages)
        self.tokens.merge(other.tokens)
        self.trained += other.trained
        self.images += other.images
        self.image_examples += other.image_examples
        for name, times in other.shapes.items():
            self._add_name(name, times)
        for limit, (examples, tokens) in other.truncated.items():
            cut = self.truncated.setdefault(limit, [0, 0])
            cut[0] += examples
            cut[1] += tokens

    def statistics(self, *, counted: bool) -> Statistics:
        return Statistics(
            messages=self.messages.distribution(),
            tokens=self.tokens.distribution() if counted else None,
            trained_tokens=self.trained if counted else None,
            truncation=[Truncation(limit, *cut) for limit, cut in sorted(self.truncated.items())],
            images=self.images,
            image_examples=self.image_examples,
            shapes=dict(sorted(self.shapes.items(), key=lambda item: -item[1])),
        )
