"""Rows that teach nothing: they are left out of training, and the job's log says which they are and why."""

from collections import defaultdict
from dataclasses import dataclass, field

_LINES_NAMED = 20


class TeachesNothing(Exception):
    """A row without anything to learn. `why` is said of all rows like it, `advice` if there are no others."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.why, self.advice = why, advice


@dataclass
class LeftOut:
    """The numbers of lines by the reason why they teach nothing. `file`: what the lines are of."""

    file: str
    lines: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    advice: dict[str, None] = field(default_factory=dict)

    def add(self, line: int, reason: TeachesNothing) -> None:
        self.lines[reason.why].append(line)
        self.advice[reason.advice] = None

    def sentences(self, kept: int) -> list[str]:
        """What the job's log says, if anything. `kept`: how many rows are trained on."""
        count = sum(map(len, self.lines.values()))
        if not count:
            return []
        teach = "teaches nothing and is" if count == 1 else "teach nothing and are"
        return [f"{count} of {count + kept} examples in the {self.file} {teach} left out: {self._reasons()}."]

    def refusal(self) -> str:
        """Why nothing can be trained, if there are no other rows."""
        return f"No example in the {self.file} teaches anything: {self._reasons()}. {' '.join(self.advice)}"

    def _reasons(self) -> str:
        return "; ".join(f"{why} ({_numbered(lines)})" for why, lines in self.lines.items())


def _numbered(lines: list[int]) -> str:
    named = ", ".join(map(str, lines[:_LINES_NAMED]))
    more = f" and {len(lines) - _LINES_NAMED} more" if len(lines) > _LINES_NAMED else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {named}{more}"
