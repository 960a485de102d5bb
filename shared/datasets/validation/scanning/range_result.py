"""The result of checking one range of a file, or several merged ones, in bounded memory."""

from array import array
from collections import Counter
from hashlib import blake2b

import msgspec

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.findings.problem import Problem
from shared.datasets.validation.findings.report import MAX_PROBLEMS, MAX_WARNINGS_PER_CODE
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.statistics.builder import StatisticsBuilder


class FoundBefore(msgspec.Struct, frozen=True):
    """How many errors, and how many warnings of each code, are known to be before a range."""

    errors: int = 0
    warnings: dict[str, int] = {}


class RangeResult(msgspec.Struct):
    """Problems have line numbers that count from the start of the range.

    `tails` holds a 32-bit tail fingerprint for each line, 0 for a line without a valid example. `block_starts` holds
    the offset of each block and the number of lines before it: together they locate candidates for duplicates.
    `in_wrong_lines` counts what was found in lines with an error: if it is much, further lines are not examined.
    `unexamined` of the `lines`, the last ones, are those that are only counted.
    `answer` is the digest of the only answer so far, unless `answers_differ`.
    A code of which `found_before` has enough needs no place in this range: then the quick paths take its lines.
    """

    lines: int = 0
    examples: int = 0
    in_wrong_lines: int = 0
    unexamined: int = 0
    errors: list[Problem] = []
    warnings: list[Problem] = []
    counts: dict[str, int] = {}
    statistics: StatisticsBuilder = msgspec.field(default_factory=StatisticsBuilder)
    tails: bytearray = msgspec.field(default_factory=bytearray)
    block_starts: list[tuple[int, int]] = []
    answer: bytes | None = None
    answers_differ: bool = False
    found_before: FoundBefore = FoundBefore()

    def remaining(self, code: str) -> int:
        """How many more problems of this code are kept; beyond that they are only counted."""
        if severity_of(code) is Severity.ERROR:
            return max(0, MAX_PROBLEMS - self.found_before.errors - len(self.errors))
        before = self.found_before.warnings.get(code, 0)
        return max(0, MAX_WARNINGS_PER_CODE - before - self.counts.get(code, 0))

    def found_until_end(self) -> FoundBefore:
        """What was found before the end of this range, for the one behind it."""
        errors, warnings = self.found_before.errors, Counter(self.found_before.warnings)
        for code, times in self.counts.items():
            if severity_of(code) is Severity.ERROR:
                errors += times
            else:
                warnings[code] += times
        return FoundBefore(errors, warnings)

    def add_problem(self, problem: Problem) -> None:
        if self.remaining(problem.code):
            (self.errors if problem.severity is Severity.ERROR else self.warnings).append(problem)
        self.count(problem.code)

    def count(self, code: str, times: int = 1) -> None:
        if times:
            self.counts[code] = self.counts.get(code, 0) + times

    def add_answers(self, answers: set[str]) -> None:
        """Compare the answers of some examples with those before."""
        self.answers_differ |= len(answers) > 1
        for answer in answers if len(answers) == 1 else ():
            self._add_answer(blake2b(answer.encode(errors="surrogatepass"), digest_size=16).digest())

    def _add_answer(self, digest: bytes | None) -> None:
        if self.answer is None:
            self.answer = digest
        elif digest is not None and digest != self.answer:
            self.answers_differ = True

    def add_lines(self, tails: "array[int]", offset: int, examples: int) -> None:
        self.block_starts.append((offset, self.lines))
        self.tails += tails.tobytes()
        self.lines += len(tails)
        self.examples += examples

    def add_unexamined(self, lines: int, blank: int) -> None:
        """Count lines that are not examined, of which so many are blank."""
        self.lines += lines
        self.unexamined += lines
        self.examples += lines - blank
        if blank:
            self.count("blank_line", blank)

    def add_blank(self, lines: int, offset: int) -> None:
        """Count the lines of a block of which all are blank."""
        self.count("blank_line", lines)
        self.add_lines(array("I", bytes(4 * lines)), offset, examples=0)

    def is_hopeless(self) -> bool:
        """Whether so much is wrong that nothing is learned from more of it."""
        return self.in_wrong_lines >= rules().ours.findings_in_wrong_lines

    def merge(self, other: "RangeResult", max_tails: int) -> None:
        """Add the result of the next range of the file, and keep tails of at most about `max_tails` lines."""
        if self.is_hopeless():
            blank = other.counts.get("blank_line", 0)
            self.add_unexamined(other.lines, blank)
            return
        self._merge_problems(other)
        self.statistics.merge(other.statistics)
        self._add_answer(other.answer)
        self.answers_differ |= other.answers_differ
        if len(self.tails) // 4 < max_tails:
            self.block_starts += [(offset, line + self.lines) for offset, line in other.block_starts]
            self.tails += other.tails
        self.lines += other.lines
        self.in_wrong_lines += other.in_wrong_lines
        self.unexamined += other.unexamined
        self.examples += other.examples

    def _merge_problems(self, other: "RangeResult") -> None:
        for found in (*other.errors, *other.warnings):
            if self.remaining(found.code):
                mine = self.errors if found.severity is Severity.ERROR else self.warnings
                mine.append(found.moved(self.lines))
            self.count(found.code)
            other.counts[found.code] -= 1
        for code, times in other.counts.items():
            if times:
                self.count(code, times)
