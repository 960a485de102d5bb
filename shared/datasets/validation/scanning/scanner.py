"""Checks the lines of one range of a file on the fastest path that takes them: plain, rich, or rule by rule."""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import compress, islice, repeat
from typing import BinaryIO

import msgspec

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.lines.examine import examine_line
from shared.datasets.validation.lines.fingerprints import tail_fingerprints
from shared.datasets.validation.reading.blocks import blocks
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.formats import CHAT, PREFERENCE, examine_roles, many_messages, shape_name
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.block_lines import Lines, count_lines
from shared.datasets.validation.scanning.collector import paused_collector
from shared.datasets.validation.scanning.decoding import LineDecoder
from shared.datasets.validation.scanning.examples import Example, Shape, images_of, shapes_of
from shared.datasets.validation.scanning.noted import Noted
from shared.datasets.validation.scanning.range_result import RangeResult
from shared.datasets.validation.tokens.counter import quickest_counter
from shared.datasets.validation.tokens.example_tokens import ExampleTokens

BOM = b"\xef\xbb\xbf"
MAX_CACHED_SHAPES = 1_000


class ScanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every process must know to check ranges. Without an `encoding`, tokens are not counted."""

    format: str | None = None
    provider: str = "openai"
    encoding: str | None = None
    example_tokens: int | None = None


class RangeScanner:
    """Checks one range after another, in the order of the file, with the same options and caches."""

    def __init__(self, options: ScanOptions) -> None:
        self.result = RangeResult()
        self._found_before = self.result.found_before
        self._options = options
        self._format = options.format or CHAT
        self._tokens = ExampleTokens(quickest_counter(options.encoding), self._format) if options.encoding else None
        self._limits = rules().example_limits()
        self._answer = -2 if options.format == PREFERENCE else -1  # in a preference, the preferred output
        self._decoder = LineDecoder(self._format, options.provider)
        self._noted = Noted(self.result)
        self._shapes: dict[Shape, tuple[str, list[Finding]]] = {}

    def scan(self, file: BinaryIO, start: int, end: int, only_count: bool = False) -> RangeResult:
        """Check all lines that begin at or after the byte `start` and before `end`, or `only_count` them."""
        self.result = RangeResult(found_before=self._found_before)
        self._noted = Noted(self.result)
        self._decoder.begin(self.result, self._noted)
        for block in blocks(file, start, end, rules().ours.line_bytes):
            if only_count or self.result.is_hopeless():
                self.result.add_unexamined(*count_lines(block))
            elif not self.result.remaining("blank_line") and not block.data.strip():
                self.result.add_blank(count_lines(block)[0], block.offset)
            else:
                with paused_collector():
                    self._scan_block(Lines(block, self.result.lines))
        self._found_before = self.result.found_until_end()
        return self.result

    def _scan_block(self, lines: Lines) -> None:
        examples = self._decoder.decode_block(lines.lines, lines.block.data)
        if examples is not None:
            tails, count = self._accept(range(len(examples)), examples), len(examples)
        else:
            tails, count = self._scan_each(lines)
        self._noted.report(lines)
        self.result.add_lines(tails, lines.block.offset, count)

    def _scan_each(self, lines: Lines) -> tuple["array[int]", int]:
        """Check a block line by line: at least one of its lines may have a finding."""
        self._take_off_bom(lines)
        blank, written = lines.indexes(blank=True), lines.indexes(blank=False)
        self._noted.add_each(blank, Finding("blank_line", None, "the line is blank"))
        texts = [lines.lines[index] for index in written]
        plain = self._decoder.plain_among(texts)
        examples = {written[position]: example for position, example in plain.items()}
        if plain:
            written = [index for index in written if index not in examples]
            texts = [lines.lines[index] for index in written]
        examined: set[int] = set()
        for first, decoded in self._decoder.decode_each(texts):
            if decoded:
                examples.update(zip(written[first : first + len(decoded)], decoded, strict=True))
                continue
            index = written[first]
            if messages := self._examine(lines, index, texts[first]):
                examples[index] = messages
                examined.add(index)
            elif self.result.is_hopeless():
                self.result.unexamined = len(lines.lines) - index - 1
                examples = {each: example for each, example in examples.items() if each < index}
                break
        examples = dict(sorted(examples.items()))
        tails = array("I", bytes(4 * len(lines.lines)))
        for index, tail in zip(examples, self._accept([*examples], [*examples.values()], examined), strict=True):
            tails[index] = tail
        return tails, len(tails) - len(blank)

    def _take_off_bom(self, lines: Lines) -> None:
        if lines.block.offset == 0 and lines.lines[0].startswith(BOM):
            if not rules().limits(self._options.provider).asks_for_bom:
                self._noted.add(0, Finding("utf8_bom", None, "the file begins with a UTF-8 byte order mark"))
            # White space of the same length, so that offsets in the line stay right.
            lines.lines[0] = b"   " + lines.lines[0].removeprefix(BOM)

    def _accept(
        self, indexes: Sequence[int], examples: Sequence[Example], examined: Collection[int] = ()
    ) -> "array[int]":
        """Count valid examples, all in one call, and return the fingerprints of their tails.

        Reports findings in the sequence of roles, except for the indexes `examined`, which have theirs already.
        """
        shapes = shapes_of(examples)
        has_findings = False
        for shape, times in Counter(shapes).items():
            name, findings = self._shape(shape)
            self.result.statistics.add_shape(name, len(shape), times)
            has_findings = has_findings or bool(findings)
        if has_findings:
            is_new: Iterable[bool] = [index not in examined for index in indexes] if examined else repeat(True)
            self._note_shapes(list(compress(indexes, is_new)), list(compress(shapes, is_new)))
        if not self.result.answers_differ:
            answers = [example[self._answer] for example in examples]
            self.result.add_answers({message.content + message.calls for message in answers})
        if self._options.format == PREFERENCE:
            self._note_identical_outputs(indexes, examples)
        if self._tokens:
            for index, example in zip(indexes, examples, strict=True):
                self._count_tokens(index, *self._tokens.of_example(example))
        return tail_fingerprints(examples)

    def _shape(self, shape: Shape) -> tuple[str, list[Finding]]:
        known = self._shapes.get(shape)
        if known is None:
            roles = [kind if isinstance(kind, str) else kind.role for kind in shape]
            known = shape_name(roles), list(_findings_of_roles(self._format, roles))
            if len(self._shapes) < MAX_CACHED_SHAPES and len(shape) <= rules().ours.many_messages:
                self._shapes[shape] = known
        return known

    def _note_shapes(self, indexes: list[int], shapes: list[Shape]) -> None:
        for shape, times in Counter(shapes).items():
            for finding in self._shape(shape)[1]:
                kept = times if self.result.remaining(finding.code) else 0
                of_shape = compress(indexes, map(shape.__eq__, shapes))
                self._noted.add_each(list(islice(of_shape, kept)), finding, times)
                if severity_of(finding.code) is Severity.ERROR:
                    self.result.in_wrong_lines += times

    def _note_identical_outputs(self, indexes: Sequence[int], examples: Sequence[Example]) -> None:
        """Compare the outputs of plain examples; the rules have compared all others, which have more than texts."""
        same = [
            index
            for index, example in zip(indexes, examples, strict=True)
            if not isinstance(example[-1], CountedMessage) and example[-1].content == example[-2].content
        ]
        self._noted.add_each(same, Finding("identical_outputs", "$", "the two outputs are the same"))

    def _examine(self, lines: Lines, index: int, line: bytes) -> list[CountedMessage]:
        """Examine a line rule by rule; its messages as they are counted, none if it has an error."""
        if len(line) > rules().ours.line_bytes:
            message = f"the line has {lines.length(index):,} bytes, but at most {rules().ours.line_bytes:,} are allowed"
            self._noted.add(index, Finding("line_too_long", None, message))
            self.result.in_wrong_lines += 1
            return []
        findings, messages = examine_line(line, self._options.format, self._options.provider)
        for finding in findings:
            self._noted.add(index, finding)
        if not messages:
            self.result.in_wrong_lines += len(findings)
        self.result.statistics.add_images(images_of(messages))
        return messages

    def _count_tokens(self, index: int, tokens: int, trained: int) -> None:
        self.result.statistics.add_tokens(tokens, trained, self._limits)
        limit = self._options.example_tokens
        if limit is not None and tokens > limit:
            message = f"the example has {tokens:,} tokens, but the model is trained on the first {limit:,}"
            self._noted.add(index, Finding("truncated", None, message))


def _findings_of_roles(format: str, roles: list[str]) -> Iterator[Finding]:
    """The findings in the number and the sequence of the roles of a valid example."""
    path = "$.input.messages" if format == PREFERENCE else "$.messages"
    messages = len(roles) - (2 if format == PREFERENCE else 0)
    if messages > rules().ours.many_messages:
        yield Finding("many_messages", path, many_messages(messages))
    for code, message in examine_roles(format, roles):
        yield Finding(code, path, message)
