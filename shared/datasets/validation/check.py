"""One pass over a file: what each line shows is put together, and then judged as a whole."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from shared.datasets.read_progress import watched
from shared.datasets.validation.duplicates import report_duplicates
from shared.datasets.validation.findings.codes import Problem, Severity, problem
from shared.datasets.validation.findings.report import MAX_PROBLEMS, Report
from shared.datasets.validation.reading.blocks import size_of
from shared.datasets.validation.reading.digest import begin_sha256
from shared.datasets.validation.reading.sniff import format_of_file, problem_of_file, sample
from shared.datasets.validation.rules.formats import REINFORCEMENT
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.part import Part
from shared.datasets.validation.scanning.processes import RANGE, parts
from shared.datasets.validation.scanning.scan import Job

DEFAULT_ENCODING = "o200k_base"
Progress = Callable[[int, int], None]


def check(
    source: str | PathLike[str] | BinaryIO,
    *,
    model: str | None = None,
    method: str | None = None,
    provider: str = "openai",
    tokens: bool = True,
    encoding: str = DEFAULT_ENCODING,
    processes: int = 1,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Read a file once, in constant memory, and say everything that is wrong with it. Bad data never raises.

    `source` is a path, or a seekable binary file. `model` gives the limit of an example and the encoding (`ft:…` too),
    and with `method` what the file must be fit for; without them, what its content alone shows is said. `tokens` take
    most of the time; without a `model` they are counted in `encoding`. `processes` over 1 need a path, or a file that
    can be opened again. `sha256` spares hashing a file whose hash is known. `progress` is called with the bytes checked
    so far, and all.
    """
    with ExitStack() as stack:
        file = stack.enter_context(Path(source).open("rb")) if isinstance(source, str | PathLike) else source
        hashed = None if sha256 else begin_sha256(stack, file)
        checked = _Check(file, model, method, provider, encoding if tokens else None)
        checked.run(processes, progress)
        return checked.report(hashed() if hashed else sha256 or "")


class _Check:
    """A check on its way: what was asked, and what is known so far."""

    def __init__(
        self, file: BinaryIO, model: str | None, method: str | None, provider: str, encoding: str | None
    ) -> None:
        self.file, self.model, self.method, self.provider = file, model, method, provider
        self.base = rules().model(model) if model else None
        self.size = size_of(file)
        self.start = sample(file)
        self.unreadable = problem_of_file(self.start)
        self.format = None if self.unreadable else format_of_file(self.start, self._methods())
        self.encoding = None
        if encoding and not self.unreadable:
            self.encoding = self.base.encoding if self.base else encoding
        self.part = Part()

    def _methods(self) -> list[str]:
        """The methods that come into question."""
        return [self.method] if self.method else self.base.methods if self.base else list(rules().methods)

    def run(self, processes: int, progress: Progress | None) -> None:
        if not self.unreadable:
            for number, part in enumerate(parts(self.file, self._job(), self.size, processes), start=1):
                self.part.merge(part, rules().ours.duplicates_examples)
                if progress:
                    progress(min(self.size, number * RANGE), self.size)
            report_duplicates(watched(self.file, lambda: progress and progress(self.size, self.size)), self.part)
        for found in [*self._of_content(), *self._of_fitness()]:
            whole = self.part.errors if found.severity is Severity.ERROR else self.part.warnings
            whole.insert(0, found)
            self.part.count(found.code)

    def _job(self) -> Job:
        return Job(
            path="",
            format=self.format,
            provider=self.provider,
            encoding=self.encoding,
            example_tokens=self.base.example_tokens if self.base else None,
        )

    def _of_content(self) -> Iterator[Problem]:
        """What is wrong with the file as a whole."""
        limits, part = rules().limits(self.provider), self.part
        if self.unreadable:
            yield self.unreadable
            return
        if self.size > limits.file_bytes:
            yield problem("file_too_large", f"The file has {self.size:,} bytes, but may have {limits.file_bytes:,}")
        if part.examples < limits.min_examples:
            sentence = (
                f"Training file has {part.examples} example(s), but must have at least {limits.min_examples} examples"
            )
            yield problem("invalid_n_examples", sentence)
        most = limits.max_examples.get(self.method or self.format or "")
        if most is not None and part.examples > most:
            yield problem("too_many_examples", f"The file has {part.examples:,} examples, but may have {most:,}")
        if part.tally.image_examples > limits.max_image_examples:
            message = f"{part.tally.image_examples:,} examples have images, but {limits.max_image_examples:,} may"
            yield problem("too_many_image_examples", message)
        one_answer = part.answer is not None and not part.answers_differ and self.format != REINFORCEMENT
        if one_answer and part.examples >= limits.min_examples:
            yield problem("same_completion", "The answer is the same in every example")

    def _of_fitness(self) -> Iterator[Problem]:
        """Whether the file, the model and the method go together."""
        if self.model and not self.base:
            yield problem("unknown_model", f"The model {self.model[:64]!r} is not known here")
        if self.base and self.base.retires and self.base.retires <= datetime.now(UTC).date():
            yield problem("model_retired", f"{self.base.name} has been stopped on {self.base.retires}")
        if self.base and self.method and self.method not in self.base.methods:
            known = " and ".join(self.base.methods)
            yield problem("method_not_supported", f"{self.base.name} is tuned by {known}, not by {self.method}")
        fit = {form for method in self._methods() for form in rules().methods.get(method, [])}
        if self.base:
            fit &= set(self.base.formats)
        if self.format and fit and self.format not in fit:
            told = f"the method {self.method}" if self.method else f"the model {self.model}"
            message = f"The file has {self.format} examples, but {told} needs {' or '.join(sorted(fit))}"
            yield problem("wrong_format_for_method", message)

    def report(self, sha256: str) -> Report:
        part = self.part
        return Report(
            valid=not part.errors,
            format=self.format,
            provider=self.provider,
            model=self.model,
            method=self.method,
            encoding=self.encoding,
            bytes=self.size,
            lines=part.lines,
            examples=part.examples,
            sha256=sha256,
            problems=_in_order(part.errors, part.warnings),
            counts=dict(sorted(part.counts.items())),
            statistics=part.tally.statistics(counted=self.encoding is not None),
        )


def _in_order(errors: list[Problem], warnings: list[Problem]) -> list[Problem]:
    """The first 1,000, errors before warnings, in the order of the file; what concerns all of it comes first."""
    first = sorted(errors, key=_line)[:MAX_PROBLEMS]
    return sorted(first + sorted(warnings, key=_line)[: MAX_PROBLEMS - len(first)], key=_line)


def _line(found: Problem) -> int:
    return found.line or 0
