"""What a check has to say about a file: every problem with its place, exact counts, statistics; to be kept as JSON."""

import msgspec

from shared.datasets.validation.findings.codes import Problem, Severity, severity_of

MAX_PROBLEMS = 1_000
MAX_WARNINGS_OF_A_CODE = 100


class Bar(msgspec.Struct, frozen=True):
    """How many examples have a value from `low` to `high`, both included."""

    low: int
    high: int
    count: int


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """A value per example. The percentiles are of values rounded to three digits where they are over 10,000."""

    total: int
    min: int
    p5: int
    mean: float
    p50: int
    p95: int
    max: int
    histogram: list[Bar]


class Truncation(msgspec.Struct, frozen=True):
    """What a model loses whose examples end at `limit` tokens: so many examples are cut, by so many tokens in all."""

    limit: int
    examples: int
    tokens: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of the examples without an error. What concerns tokens is None when they were not counted.

    `trained_tokens` are those of the assistant's messages whose weight is not 0, once. `shapes` counts the sequences of
    roles.
    """

    messages: Distribution | None = None
    tokens: Distribution | None = None
    trained_tokens: int | None = None
    truncation: list[Truncation] = []
    images: int = 0
    image_examples: int = 0
    shapes: dict[str, int] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a check. `examples` counts all lines that are not blank, good or bad.

    `problems` holds the first 1,000 in the order of the file, errors before warnings where there is not room for all;
    `counts` holds all there are, by code. `msgspec.json.encode(report)` and `decode(…, type=Report)` carry it.
    """

    valid: bool
    format: str | None
    provider: str
    model: str | None
    method: str | None
    encoding: str | None
    bytes: int
    lines: int
    examples: int
    sha256: str
    problems: list[Problem]
    counts: dict[str, int]
    statistics: Statistics

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity is Severity.ERROR]

    @property
    def n_errors(self) -> int:
        return sum(self.counts[code] for code in self.counts if severity_of(code) is Severity.ERROR)

    @property
    def error_code(self) -> str | None:
        """As a job's error on OpenAI's wire: too few examples has a code of its own, if it is all that is wrong."""
        if self.valid:
            return None
        codes = {problem.code for problem in self.errors}
        return "invalid_n_examples" if codes == {"invalid_n_examples"} else "invalid_training_file"

    def sentence(self, first: int = 3) -> str | None:
        """The first errors and how many more there are; None for a valid file."""
        if self.valid:
            return None
        told = [_told(problem) for problem in self.errors[:first]]
        more = self.n_errors - len(told)
        return " ".join(told) + (f" And {more:,} more." if more else "")


def _told(problem: Problem) -> str:
    place = "" if problem.line is None else f"Line {problem.line}: "
    return f"{place}{problem.message.rstrip('.')}."
