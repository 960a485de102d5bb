"""Checks the lines of one range of a file on the fastest path that takes them: plain, rich, or rule by rule."""

from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from io import BytesIO
from operator import itemgetter
from typing import BinaryIO, cast

import msgspec
from msgspec.structs import replace

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.findings.problem import problem
from shared.datasets.validation.lines.examine import examine_line
from shared.datasets.validation.lines.fingerprints import SEPARATOR, tail_fingerprints
from shared.datasets.validation.lines.plain import PLAIN_FORMATS, PlainMessage, hides_nothing
from shared.datasets.validation.lines.rich import rich_decoder
from shared.datasets.validation.lines.shared_prefix import SharedPrefix, shared_prefix_of
from shared.datasets.validation.reading.blocks import Block, blocks
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.formats import CHAT, PREFERENCE, REINFORCEMENT, examine_roles, shape_name
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.range_result import RangeResult
from shared.datasets.validation.tokens.example_tokens import ExampleTokens

BOM = b"\xef\xbb\xbf"
MAX_CACHED_SHAPES = 1_000
Example = Sequence[PlainMessage] | Sequence[CountedMessage]
Shape = tuple[type[PlainMessage] | str, ...]  # the roles of an example, by type where it is plain


class ScanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What every process must know to check ranges. Without an `encoding`, tokens are not counted."""

    format: str | None = None
    provider: str = "openai"
    encoding: str | None = None
    example_tokens: int | None = None


class Lines:
    """The lines of a block, with their position in the range and in the file."""

    def __init__(self, block: Block, before: int) -> None:
        self.block, self.before = block, before
        self.lines = BytesIO(block.data).readlines()  # twice as fast as `split`

    def position(self, index: int) -> tuple[int, int]:
        """The number of the line in the range, from 1, and its offset in the file."""
        return self.before + index + 1, self.block.offset + sum(map(len, self.lines[:index]))

    def length(self, index: int) -> int:
        return len(self.lines[index]) + (self.block.skipped if index == len(self.lines) - 1 else 0)


class RangeScanner:
    """Checks one range after another with the same options, and keeps its caches between them."""

    def __init__(self, options: ScanOptions) -> None:
        self.result = RangeResult()
        self._options = options
        self._format = options.format or CHAT
        self._plain = PLAIN_FORMATS[self._format]
        self._tokens = ExampleTokens(options.encoding, self._format) if options.encoding else None
        self._limits = rules().example_limits()
        self._prefix: SharedPrefix | None = None
        self._answer = -2 if options.format == PREFERENCE else -1  # in a preference, the preferred output
        self._rich = rich_decoder(self._format, rules().limits(options.provider))
        self._found: list[tuple[int, Finding]] = []
        self._shapes: dict[Shape, tuple[str, list[tuple[str, str]]]] = {}

    def scan(self, file: BinaryIO, start: int, end: int) -> RangeResult:
        """Check all lines that begin at or after the byte `start` and before `end`."""
        self.result, self._prefix = RangeResult(), None
        for block in blocks(file, start, end, rules().ours.line_bytes):
            self._scan_block(Lines(block, self.result.lines))
        return self.result

    def _scan_block(self, lines: Lines) -> None:
        examples: Sequence[Example] | None = self._decode_block(lines)
        if examples is None and self._rich:
            examples = self._rich.read(lines.lines, lines.block.data)
        if examples is not None:
            tails, count = self._accept(range(len(examples)), examples), len(examples)
        else:
            tails, count = self._scan_each(lines)
        for index, finding in sorted(self._found, key=itemgetter(0)):
            self._report(lines, index, finding)
        self._found.clear()
        self.result.add_lines(tails, lines.block.offset, count)

    def _decode_block(self, lines: Lines) -> list[list[PlainMessage]] | None:
        """All lines of a block on the plain path; None unless all of them are plain and valid."""
        rest = self._prefix.remove_from(lines.lines) if self._prefix else None
        if self._prefix and rest:
            examples = self._decode_plain(rest, b"".join(rest))
            for messages in examples or ():
                messages.insert(0, self._prefix.message)
            return examples
        examples = self._decode_plain(lines.lines, lines.block.data)
        if examples and not self._prefix and self._format in (CHAT, REINFORCEMENT):
            self._prefix = shared_prefix_of(lines.lines[-1], examples[-1])
        return examples

    def _decode_plain(self, lines: list[bytes], data: bytes) -> list[list[PlainMessage]] | None:
        try:
            examples = list(map(self._plain.messages, map(self._plain.decode, lines)))
        except (ValueError, RecursionError):
            return None
        return examples if hides_nothing(data, sum(map(len, examples)), self._plain) else None

    def _scan_each(self, lines: Lines) -> tuple["array[int]", int]:
        """Check a block line by line: at least one of its lines may have a finding."""
        tails, blank = array("I", bytes(4 * len(lines.lines))), 0
        examples: dict[int, Example] = {}
        examined: set[int] = set()
        for index, line in enumerate(lines.lines):
            if index + lines.block.offset == 0 and line.startswith(BOM):
                if not rules().limits(self._options.provider).asks_for_bom:
                    self._note(index, Finding("utf8_bom", None, "the file begins with a UTF-8 byte order mark"))
                line = b"   " + line.removeprefix(BOM)  # so that offsets in the line stay right
            if not line.strip():
                blank += 1
                self._note(index, Finding("blank_line", None, "the line is blank"))
            elif decoded := self._decode([line], line):
                examples[index] = decoded[0]
            elif messages := self._examine(lines, index, line):
                examples[index] = messages
                examined.add(index)
        for index, tail in zip(examples, self._accept([*examples], [*examples.values()], examined), strict=True):
            tails[index] = tail
        return tails, len(tails) - blank

    def _decode(self, lines: list[bytes], data: bytes) -> Sequence[Example] | None:
        """Lines on the plain or the rich path; None if one of them may have a finding besides those of its roles."""
        plain: Sequence[Example] | None = self._decode_plain(lines, data)
        return plain or (self._rich.read(lines, data) if self._rich else None)

    def _accept(
        self, indexes: Sequence[int], examples: Sequence[Example], examined: Collection[int] = ()
    ) -> "array[int]":
        """Count valid examples, all in one call, and return the fingerprints of their tails.

        Reports findings in the sequence of roles, except for the indexes `examined`, which have theirs already.
        """
        shapes = [_shape_of(example) for example in examples]
        has_findings = False
        for shape, times in Counter(shapes).items():
            name, findings = self._shape(shape)
            self.result.statistics.add_shape(name, len(shape), times)
            has_findings = has_findings or bool(findings)
        if has_findings:
            pairs = zip(indexes, shapes, strict=True)
            self._note_shapes([(index, shape) for index, shape in pairs if index not in examined])
        self.result.add_answers(_text_of(example[self._answer]) for example in examples)
        if self._options.format == PREFERENCE:
            self._note_identical_outputs(indexes, examples)
        if self._tokens:
            for index, example in zip(indexes, examples, strict=True):
                self._count_tokens(index, *self._tokens.of_example(example))
        return tail_fingerprints([_last_messages(example) for example in examples])

    def _shape(self, shape: Shape) -> tuple[str, list[tuple[str, str]]]:
        known = self._shapes.get(shape)
        if known is None:
            roles = [kind if isinstance(kind, str) else kind.role for kind in shape]
            known = shape_name(roles), list(examine_roles(self._format, roles))
            if len(self._shapes) < MAX_CACHED_SHAPES:
                self._shapes[shape] = known
        return known

    def _note_shapes(self, pairs: list[tuple[int, Shape]]) -> None:
        for shape, times in Counter(shape for _, shape in pairs).items():
            for code, message in self._shape(shape)[1]:
                if not self.result.remaining(code):
                    self.result.count(code, times)
                    continue
                finding = Finding(code, "$.messages", message)
                self._found += [(index, finding) for index, found in pairs if found == shape]

    def _note_identical_outputs(self, indexes: Sequence[int], examples: Sequence[Example]) -> None:
        """Compare the outputs of plain examples; the rules have compared all others, which have more than texts."""
        for index, example in zip(indexes, examples, strict=True):
            if not isinstance(example[-1], CountedMessage) and example[-1].content == example[-2].content:
                self._note(index, Finding("identical_outputs", "$", "the two outputs are the same"))

    def _examine(self, lines: Lines, index: int, line: bytes) -> list[CountedMessage]:
        """Examine a line rule by rule; its messages as they are counted, none if it has an error."""
        if len(line) > rules().ours.line_bytes:
            message = f"the line has {lines.length(index):,} bytes, but at most {rules().ours.line_bytes:,} are allowed"
            self._note(index, Finding("line_too_long", None, message))
            return []
        findings, messages = examine_line(line, self._options.format, self._options.provider)
        for finding in findings:
            self._note(index, finding)
        images = sum(message.images_low + message.images_high for message in messages)
        self.result.statistics.images += images
        self.result.statistics.image_examples += bool(images)
        return messages

    def _count_tokens(self, index: int, tokens: int, trained: int) -> None:
        self.result.statistics.add_tokens(tokens, trained, self._limits)
        limit = self._options.example_tokens
        if limit is not None and tokens > limit:
            message = f"the example has {tokens:,} tokens, but the model is trained on the first {limit:,}"
            self._note(index, Finding("truncated", None, message))

    def _note(self, index: int, finding: Finding) -> None:
        """Keep a finding until the block ends: the paths yield findings out of the order of the lines."""
        if self.result.remaining(finding.code):
            self._found.append((index, finding))
        else:
            self.result.count(finding.code)

    def _report(self, lines: Lines, index: int, finding: Finding) -> None:
        if not self.result.remaining(finding.code):
            self.result.count(finding.code)
            return
        line, offset = lines.position(index)
        self.result.add_problem(
            problem(
                finding.code,
                finding.message,
                line=line,
                offset=offset + (finding.offset or 0),
                path=finding.path,
                hint=finding.hint,
            )
        )


def _shape_of(example: Example) -> Shape:
    if isinstance(example[0], CountedMessage):
        return tuple([message.role for message in example])
    return tuple(map(type, example))


def _text_of(message: PlainMessage | CountedMessage) -> str:
    return message.content + message.calls


def _last_messages(example: Example) -> Example:
    """The last messages of an example, with their calls as the text where they have no other."""
    if not isinstance(example[0], CountedMessage):
        return example
    messages = cast("Sequence[CountedMessage]", example[-2:])
    return [replace(each, content=(each.content or each.calls).replace(SEPARATOR, "")) for each in messages]
