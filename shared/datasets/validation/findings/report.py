"""The outcome of a check: problems with their positions, exact counts, statistics. It is stored as JSON."""

import msgspec

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.findings.problem import Problem
from shared.datasets.validation.statistics.results import Statistics

DEFAULT_ENCODING = "o200k_base"
MAX_PROBLEMS = 1_000
MAX_WARNINGS_PER_CODE = 100


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a check. `examples` counts all lines that are not blank, valid or not.

    `problems` holds at most 1,000, in the order of the file; if there are more, errors displace warnings. `counts` has
    the number of all problems by code, up to the line at which the check stopped, if it did (`check_stopped`).
    `msgspec.json.encode` and `decode(…, type=Report)` store and load it.
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
        """The code of a job's error on OpenAI's wire; None for a valid file.

        OpenAI reports too few examples as `invalid_n_examples`; here only if nothing else is wrong.
        """
        if self.valid:
            return None
        codes = {problem.code for problem in self.errors}
        return "invalid_n_examples" if codes == {"invalid_n_examples"} else "invalid_training_file"

    def sentence(self, first: int = 3) -> str | None:
        """The first errors and how many more there are; None for a valid file."""
        if self.valid:
            return None
        sentences = [_sentence(problem) for problem in self.errors[:first]]
        more = self.n_errors - len(sentences)
        least = "at least " if "check_stopped" in self.counts else ""
        return " ".join(sentences) + (f" And {least}{more:,} more." if more else "")


def _sentence(problem: Problem) -> str:
    line = "" if problem.line is None else f"Line {problem.line}: "
    return f"{line}{problem.message.rstrip('.')}."
