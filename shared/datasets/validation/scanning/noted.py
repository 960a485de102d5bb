"""The findings of a block of lines, kept until it ends: the paths yield them out of the order of the lines."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.findings.problem import Problem, problem
from shared.datasets.validation.scanning.block_lines import Lines
from shared.datasets.validation.scanning.range_result import RangeResult


class Noted:
    """Keeps the findings that `result` has room for, by the index of their line, and only counts the others."""

    def __init__(self, result: RangeResult) -> None:
        self._result = result
        self._kept: list[tuple[int, Finding]] = []
        self._times = Counter[str]()  # how many of each code are kept, of those noted one by one
        self._full: set[str] = set()  # codes of which no more are kept
        self._others = Counter[str]()  # how often each code was found besides; it is not said where

    def remaining(self, code: str) -> int:
        """How many more findings of this code are kept, if they are in lines behind those noted one by one."""
        return max(0, self._result.remaining(code) - self._times[code])

    def add(self, index: int, finding: Finding) -> None:
        code = finding.code
        if code in self._full:
            self._others[code] += 1
        elif self.remaining(code):
            self._kept.append((index, finding))
            self._times[code] += 1
        else:
            self._full.add(code)
            self._others[code] += 1

    def add_each(self, indexes: Sequence[int], finding: Finding, times: int | None = None) -> None:
        """Keep the same finding for several lines, or only count it where enough of its code are kept.

        `times` is how often it was found, if not once for each of `indexes`.
        """
        times = len(indexes) if times is None else times
        kept = indexes[: self._result.remaining(finding.code)]
        self._kept += [(index, finding) for index in kept]
        self._others[finding.code] += times - len(kept)

    def only_counts(self, codes: Iterable[str]) -> bool:
        """Whether findings of these codes need no place, in lines behind those noted one by one."""
        return all(code in self._full or not self.remaining(code) for code in codes)

    def count(self, found: Mapping[str, int]) -> None:
        self._others.update(found)

    def report(self, lines: Lines) -> None:
        """Add what was noted in the lines of a block to the result."""
        for index, finding in sorted(self._kept, key=itemgetter(0)):
            if self._result.remaining(finding.code):
                self._result.add_problem(_problem(lines, index, finding))
            else:  # others of this block came before it
                self._result.count(finding.code)
        for code, times in self._others.items():
            self._result.count(code, times)
        self._kept.clear()
        self._times.clear()
        self._others.clear()


def _problem(lines: Lines, index: int, found: Finding) -> Problem:
    line, offset = lines.position(index)
    offset += found.offset or 0
    return problem(found.code, found.message, line=line, offset=offset, path=found.path, hint=found.hint)
