"""What is known of one range of a file, or of all ranges so far: small, whatever the size of the range."""

from array import array
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from shared.datasets.validation.findings.codes import Problem, Severity, severity_of
from shared.datasets.validation.findings.report import MAX_PROBLEMS, MAX_WARNINGS_OF_A_CODE
from shared.datasets.validation.statistics.tally import Tally


class Part(msgspec.Struct):
    """Lines are counted from the start of the range. `tails` has 32 bits for each line, 0 for one that is not good;
    `starts` the offset of each block and the lines before it: together they find duplicates again in the file."""

    lines: int = 0
    examples: int = 0
    errors: list[Problem] = []
    warnings: list[Problem] = []
    counts: dict[str, int] = {}
    tally: Tally = msgspec.field(default_factory=Tally)
    tails: bytearray = msgspec.field(default_factory=bytearray)
    starts: list[tuple[int, int]] = []
    answer: bytes | None = None
    answers_differ: bool = False

    def room(self, code: str) -> int:
        """How many more problems of this code can be told in full."""
        if severity_of(code) is Severity.ERROR:
            return max(0, MAX_PROBLEMS - len(self.errors))
        return max(0, MAX_WARNINGS_OF_A_CODE - self.counts.get(code, 0))

    def add_problem(self, problem: Problem) -> None:
        if self.room(problem.code):
            (self.errors if problem.severity is Severity.ERROR else self.warnings).append(problem)
        self.count(problem.code)

    def count(self, code: str, times: int = 1) -> None:
        self.counts[code] = self.counts.get(code, 0) + times

    def add_answers(self, answers: Iterable[str]) -> None:
        """Notification whether all completions are the same; once two differ there is nothing more to see."""
        if self.answers_differ:
            return
        for answer in answers:
            self._add_answer(blake2b(answer.encode(errors="surrogatepass"), digest_size=16).digest())
            if self.answers_differ:
                return

    def _add_answer(self, digest: bytes | None) -> None:
        if self.answer is None:
            self.answer = digest
        elif digest is not None and digest != self.answer:
            self.answers_differ = True

    def add_lines(self, tails: "array[int]", offset: int, examples: int) -> None:
        self.starts.append((offset, self.lines))
        self.tails += tails.tobytes()
        self.lines += len(tails)
        self.examples += examples

    def merge(self, other: "Part", most_tails: int) -> None:
        """Take the next range in."""
        self._merge_problems(other)
        self.tally.merge(other.tally)
        self._add_answer(other.answer)
        self.answers_differ |= other.answers_differ
        if len(self.tails) // 4 < most_tails:
            self.starts += [(offset, line + self.lines) for offset, line in other.starts]
            self.tails += other.tails
        self.lines += other.lines
        self.examples += other.examples

    def _merge_problems(self, other: "Part") -> None:
        for found in (*other.errors, *other.warnings):
            if self.room(found.code):
                mine = self.errors if found.severity is Severity.ERROR else self.warnings
                mine.append(found.moved(self.lines))
            self.count(found.code)
            other.counts[found.code] -= 1
        for code, times in other.counts.items():
            if times:
                self.count(code, times)
