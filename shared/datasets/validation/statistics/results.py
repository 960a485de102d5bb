"""The statistics of a checked dataset, as they are stored with its report and shown by the API."""

import msgspec


class Bar(msgspec.Struct, frozen=True):
    """The number of examples whose value lies between `low` and `high`, both included."""

    low: int
    high: int
    count: int


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How one value per example is distributed.

    `total`, `min`, `mean` and `max` are exact. Percentiles and histogram use values rounded to three digits above
    10,000.
    """

    total: int
    min: int
    p5: int
    mean: float
    p50: int
    p95: int
    max: int
    histogram: list[Bar]


class Truncation(msgspec.Struct, frozen=True):
    """What a model that reads at most `limit` tokens of an example does not see: `tokens` in all, of `examples`."""

    limit: int
    examples: int
    tokens: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of the examples without errors. `tokens` and `trained_tokens` are None if tokens were not counted.

    `trained_tokens` counts the assistant's messages whose weight is not 0, for one epoch. `shapes` counts examples by
    their sequence of roles, most frequent first.
    """

    messages: Distribution | None = None
    tokens: Distribution | None = None
    trained_tokens: int | None = None
    truncation: list[Truncation] = []
    images: int = 0
    image_examples: int = 0
    shapes: dict[str, int] = {}
