"""What the demo shows: ticks, a moving bar and a curve in a terminal, plain lines anywhere else."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from cli.local import loss_chart

NO_MOTION_IF = ("NO_COLOR", "CI")
PLAIN_EVERY = 25  # steps from one plain line to the next


class Screen:
    """Shows one job. `plain` is for pipes, for CI, for who has set NO_COLOR, and for terminals without Unicode."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self.plain = not stream.isatty() or not _shows_unicode(stream) or any(map(os.environ.get, NO_MOTION_IF))
        self.console = Console(file=stream, highlight=False, soft_wrap=self.plain, force_terminal=not self.plain)

    def title(self, text: str) -> None:
        self.console.print(Text(text, style="bold"))

    def done(self, text: str) -> None:
        self.console.print(Text.assemble(("ok  " if self.plain else "✓ ", "green"), text))

    def note(self, text: str) -> None:
        self.console.print(Text(f"    {text}" if self.plain else f"  {text}", style="dim"))

    @contextmanager
    def training(self) -> Iterator["Training"]:
        """Follows the steps of a job for the length of the block."""
        if self.plain:
            yield Training(self)
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield Training(self, progress)

    def loss_curve(self, losses: Sequence[float]) -> None:
        if not self.plain:
            self.console.print(Text("  training loss, step by step", style="dim"))
            for line in loss_chart.draw(losses, width=min(60, self.console.width - 10)):
                self.console.print(Text(line, style="cyan"))

    def side_by_side(self, question: str, answers: dict[str, str]) -> None:
        self.note(f"Question: {question}")
        if self.plain:
            for model, answer in answers.items():
                self.console.print(Text(f"    {model}: {answer}"))
        else:
            width = (self.console.width - 4) // len(answers)
            panels = [Panel(Text(answer), title=Text(model), width=width) for model, answer in answers.items()]
            self.console.print(Columns(panels))


class Training:
    """The part of the screen that moves while a job runs."""

    def __init__(self, screen: Screen, progress: Progress | None = None) -> None:
        self.screen = screen
        self.progress = progress
        self.task = progress.add_task("waiting for the first step") if progress else None

    def message(self, text: str) -> None:
        self.screen.note(text)

    def step(self, number: int, total: int | None, loss: float) -> None:
        text = f"step {number}{f'/{total}' if total else ''}, training loss {loss:.2f}"
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=number, total=total, description=text)
        elif number % PLAIN_EVERY == 0 or number == total:
            self.screen.note(text)


def _shows_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"
