"""Checks a file in one pass: merges what its ranges show, then judges the file as a whole."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from shared.datasets.read_progress import call_before_reads
from shared.datasets.validation.duplicates import report_duplicates
from shared.datasets.validation.findings.codes import Severity
from shared.datasets.validation.findings.problem import Problem, problem
from shared.datasets.validation.findings.report import DEFAULT_ENCODING, MAX_PROBLEMS, Report
from shared.datasets.validation.reading.blocks import size_of
from shared.datasets.validation.reading.digest import begin_sha256
from shared.datasets.validation.reading.sniff import format_of_file, problem_of_file, sample
from shared.datasets.validation.rules import fitness
from shared.datasets.validation.rules.formats import REINFORCEMENT
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.ahead import Known
from shared.datasets.validation.scanning.processes import RANGE_BYTES, scan_file
from shared.datasets.validation.scanning.range_result import RangeResult
from shared.datasets.validation.scanning.scanner import ScanOptions

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
    known: Known | None = None,
) -> Report:
    """Read a file once, in constant memory, and report everything that is wrong with it. Bad data never raises.

    `source` is a path or a seekable binary file. `model` (also `ft:…`) and `method` say what the file must be fit for;
    without them only its content is judged. `model` also decides the encoding and the longest example; without it
    tokens are counted in `encoding`. Counting `tokens` takes most of the time. `processes` above 1 need a path or a
    file that can be opened again. `sha256`, if known, is not computed again. `progress` is called with the bytes
    checked so far and the size of the file. `known` is what was found in the file ahead, if that is of use here.
    """
    with ExitStack() as stack:
        file = stack.enter_context(Path(source).open("rb")) if isinstance(source, str | PathLike) else source
        digest = None if sha256 else begin_sha256(stack, file)
        running = _Check(file, model, method, provider, encoding if tokens else None)
        running.run(processes, progress, known)
        return running.report(digest() if digest else sha256 or "")


def options_ahead(file: BinaryIO) -> ScanOptions | None:
    """How a file is examined of which no more is known: with tokens, for any model. None if it cannot be read at all.

    The start of the file is enough.
    """
    running = _Check(file, None, None, "openai", DEFAULT_ENCODING)
    return None if running.unreadable else running.options()


class _Check:
    """One check: its options, and the result so far."""

    def __init__(
        self, file: BinaryIO, model: str | None, method: str | None, provider: str, encoding: str | None
    ) -> None:
        self.file, self.model, self.method, self.provider = file, model, method, provider
        self.base = rules().model(model) if model else None
        self.size = size_of(file)
        start = sample(file)
        self.unreadable = problem_of_file(start)
        self.format = None if self.unreadable else format_of_file(start, self._methods())
        self.encoding = None
        if encoding and not self.unreadable:
            self.encoding = self.base.encoding if self.base else encoding
        self.result = RangeResult()

    def _methods(self) -> list[str]:
        """The methods that the file may be meant for."""
        return [self.method] if self.method else self.base.methods if self.base else list(rules().methods)

    def run(self, processes: int, progress: Progress | None, known: Known | None) -> None:
        if not self.unreadable:
            if known is None or known.options != self.options():
                known = Known(None, None, 0)
            results = scan_file(self.file, self.options(), self.size, processes, self.result.is_hopeless, known)
            for number, result in enumerate(results, start=1):
                self.result.merge(result, rules().ours.duplicates_examples)
                if progress:
                    progress(min(self.size, number * RANGE_BYTES), self.size)
            # Reading lines again may take long: the caller's progress doubles as a heartbeat meanwhile.
            file = call_before_reads(self.file, lambda: progress and progress(self.size, self.size))
            report_duplicates(file, self.result)
        for found in [*self._content_problems(), *self._fitness_problems()]:
            # Inserted, not added: problems of the whole file are reported even when 1,000 of its lines have some.
            problems = self.result.errors if found.severity is Severity.ERROR else self.result.warnings
            problems.insert(0, found)
            self.result.count(found.code)

    def options(self) -> ScanOptions:
        return ScanOptions(
            format=self.format,
            provider=self.provider,
            encoding=self.encoding,
            example_tokens=self.base.example_tokens if self.base else None,
        )

    def _content_problems(self) -> Iterator[Problem]:
        """What is wrong with the file as a whole, whatever it is used for."""
        limits, result = rules().limits(self.provider), self.result
        if self.unreadable:
            yield self.unreadable
            return
        if self.size > limits.file_bytes:
            message = f"The file has {self.size:,} bytes, but at most {limits.file_bytes:,} are allowed"
            yield problem("file_too_large", message)
        if result.examples < limits.min_examples:
            # The sentence is OpenAI's, word for word: clients may look for it.
            message = (
                f"Training file has {result.examples} example(s), but must have at least {limits.min_examples} examples"
            )
            yield problem("invalid_n_examples", message)
        max_examples = limits.max_examples.get(self.method or self.format or "")
        if max_examples is not None and result.examples > max_examples:
            message = f"The file has {result.examples:,} examples, but at most {max_examples:,} are allowed"
            yield problem("too_many_examples", message)
        if result.unexamined:
            message = (
                f"The check stopped at line {result.lines - result.unexamined + 1:,}: {result.in_wrong_lines:,} things "
                "are wrong in the lines before it; it and those behind it are only counted"
            )
            yield problem("check_stopped", message)
        with_images = result.statistics.image_examples
        if with_images > limits.max_image_examples:
            message = f"{with_images:,} examples have images, but at most {limits.max_image_examples:,} may have some"
            yield problem("too_many_image_examples", message)
        one_answer = result.answer is not None and not (result.answers_differ or result.unexamined)
        if one_answer and self.format != REINFORCEMENT and result.examples >= limits.min_examples:
            yield problem("same_completion", "The answer is the same in every example")

    def _fitness_problems(self) -> Iterator[Problem]:
        """Whether the file, the model and the method go together."""
        if self.unreadable:
            return
        if self.model and not self.base:
            yield problem("unknown_model", f"The model {self.model[:64]!r} is not known")
        misfits = []
        if self.model:
            shutdown = fitness.published_shutdown(self.model, self.provider)
            misfits += fitness.of_model(self.model, self.method, shutdown)
        if (misfit := fitness.of_file(self.format, self.model, self.method)) is not None:
            misfits.append(misfit)
        yield from (problem(misfit.code, misfit.message) for misfit in misfits)

    def report(self, sha256: str) -> Report:
        result = self.result
        return Report(
            valid=not result.errors,
            format=self.format,
            provider=self.provider,
            model=self.model,
            method=self.method,
            encoding=self.encoding,
            bytes=self.size,
            lines=result.lines,
            examples=result.examples,
            sha256=sha256,
            problems=_in_file_order(result.errors, result.warnings),
            counts=dict(sorted(result.counts.items())),
            statistics=result.statistics.build(tokens_counted=self.encoding is not None),
        )


def _in_file_order(errors: list[Problem], warnings: list[Problem]) -> list[Problem]:
    """The first 1,000 problems, errors chosen before warnings, in the order of the file; whole-file problems first."""
    first = sorted(errors, key=_line)[:MAX_PROBLEMS]
    return sorted(first + sorted(warnings, key=_line)[: MAX_PROBLEMS - len(first)], key=_line)


def _line(found: Problem) -> int:
    return found.line or 0
