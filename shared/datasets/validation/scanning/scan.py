"""Checks the lines of one range of a file: the fast way where lines are plain, the obvious one for all others."""

from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from io import BytesIO
from operator import itemgetter
from typing import BinaryIO, cast

import msgspec
from msgspec.structs import replace

from shared.datasets.validation.findings.codes import problem
from shared.datasets.validation.lines.fast import FAST, Message, is_plain, tail_keys
from shared.datasets.validation.lines.openings import Opening, opening_of
from shared.datasets.validation.lines.slow import examine_line
from shared.datasets.validation.lines.wide import wide_of
from shared.datasets.validation.reading.blocks import Block, blocks
from shared.datasets.validation.rules.formats import CHAT, PREFERENCE, REINFORCEMENT, Turn, name_of, of_roles
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.rules.strict_json import Finding
from shared.datasets.validation.scanning.part import Part
from shared.datasets.validation.tokens.example_tokens import TokenSums

BOM = b"\xef\xbb\xbf"
MAX_KNOWN_SHAPES = 1_000
Example = Sequence[Message] | Sequence[Turn]
Shape = tuple[type[Message] | str, ...]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What every process must know to check its ranges."""

    path: str
    format: str | None = None
    provider: str = "openai"
    encoding: str | None = None
    example_tokens: int | None = None


class Lines:
    """The lines of a block, and where each of them is."""

    def __init__(self, block: Block, before: int) -> None:
        self.block, self.before = block, before
        self.lines = BytesIO(block.data).readlines()  # twice as fast as split

    def place(self, index: int) -> tuple[int, int]:
        return self.before + index + 1, self.block.offset + sum(map(len, self.lines[:index]))

    def length(self, index: int) -> int:
        return len(self.lines[index]) + (self.block.cut if index == len(self.lines) - 1 else 0)


class Scan:
    """The check of ranges, one after the other."""

    def __init__(self, job: Job) -> None:
        self.part = Part()
        self._job = job
        self._format = job.format or CHAT
        self._fast = FAST[self._format]
        self._tokens = TokenSums(job.encoding, self._format) if job.encoding else None
        self._limits = rules().example_limits()
        self._opening: Opening | None = None
        self._answer = -2 if job.format == PREFERENCE else -1
        self._wide = wide_of(self._format, rules().limits(job.provider))
        self._found: list[tuple[int, Finding]] = []
        self._shapes: dict[Shape, tuple[str, list[tuple[str, str]]]] = {}

    def range(self, file: BinaryIO, start: int, end: int) -> Part:
        """All lines that begin between two bytes of a file."""
        self.part, self._opening = Part(), None
        for block in blocks(file, start, end, rules().ours.line_bytes):
            self._block(Lines(block, self.part.lines))
        return self.part

    def _block(self, lines: Lines) -> None:
        examples: Sequence[Example] | None = self._all_plain(lines)
        if examples is None and self._wide:
            examples = self._wide.read(lines.lines, lines.block.data)
        if examples is not None:
            tails, count = self._accept(range(len(examples)), examples), len(examples)
        else:
            tails, count = self._take_each(lines)
        for index, finding in sorted(self._found, key=itemgetter(0)):
            self._report(lines, index, finding)
        self._found.clear()
        self.part.add_lines(tails, lines.block.offset, count)

    def _all_plain(self, lines: Lines) -> list[list[Message]] | None:
        rest = self._opening.taken_off(lines.lines) if self._opening else None
        if self._opening and rest:
            examples = self._read(rest, b"".join(rest))
            for messages in examples or ():
                messages.insert(0, self._opening.message)
            return examples
        examples = self._read(lines.lines, lines.block.data)
        if examples and not self._opening and self._format in (CHAT, REINFORCEMENT):
            self._opening = opening_of(lines.lines[-1], examples[-1])
        return examples

    def _read(self, lines: list[bytes], data: bytes) -> list[list[Message]] | None:
        try:
            examples = list(map(self._fast.messages, map(self._fast.decode, lines)))
        except (ValueError, RecursionError):
            return None
        return examples if is_plain(data, sum(map(len, examples)), self._fast) else None

    def _take_each(self, lines: Lines) -> tuple["array[int]", int]:
        tails, blank = array("I", bytes(4 * len(lines.lines))), 0
        examples: dict[int, Example] = {}
        told: set[int] = set()
        for index, line in enumerate(lines.lines):
            if index + lines.block.offset == 0 and line.startswith(BOM):
                self._note(index, Finding("utf8_bom", None, "the file begins with a byte order mark"))
                line = b"   " + line.removeprefix(BOM)
            if not line.strip():
                blank += 1
                self._note(index, Finding("blank_line", None, "the line is blank"))
            elif good := self._good([line], line):
                examples[index] = good[0]
            elif turns := self._examine(lines, index, line):
                examples[index] = turns
                told.add(index)
        for index, tail in zip(examples, self._accept([*examples], [*examples.values()], told), strict=True):
            tails[index] = tail
        return tails, len(tails) - blank

    def _good(self, lines: list[bytes], data: bytes) -> Sequence[Example] | None:
        """Lines that there is nothing to say about but the sequence of their roles."""
        plain: Sequence[Example] | None = self._read(lines, data)
        return plain or (self._wide.read(lines, data) if self._wide else None)

    def _accept(self, indexes: Sequence[int], examples: Sequence[Example], told: Collection[int] = ()) -> "array[int]":
        """Count good examples, all at once; the sequence of their roles is judged, but of those `told` of already."""
        shapes = [_shape_of(example) for example in examples]
        is_flawed = False
        for shape, times in Counter(shapes).items():
            name, codes = self._shape(shape)
            self.part.tally.add_shape(name, len(shape), times)
            is_flawed = is_flawed or bool(codes)
        if is_flawed:
            pairs = zip(indexes, shapes, strict=True)
            self._note_shapes([(index, shape) for index, shape in pairs if index not in told])
        self.part.add_answers(_said(example[self._answer]) for example in examples)
        if self._job.format == PREFERENCE:
            self._note_same_outputs(indexes, examples)
        if self._tokens:
            for index, example in zip(indexes, examples, strict=True):
                self._count(index, *self._tokens.of_example(example))
        return tail_keys([_ends(example) for example in examples])

    def _shape(self, shape: Shape) -> tuple[str, list[tuple[str, str]]]:
        known = self._shapes.get(shape)
        if known is None:
            roles = [kind if isinstance(kind, str) else kind.role for kind in shape]
            known = name_of(roles), list(of_roles(self._format, roles))
            if len(self._shapes) < MAX_KNOWN_SHAPES:
                self._shapes[shape] = known
        return known

    def _note_shapes(self, pairs: list[tuple[int, Shape]]) -> None:
        for shape, times in Counter(shape for _, shape in pairs).items():
            for code, message in self._shape(shape)[1]:
                if not self.part.room(code):
                    self.part.count(code, times)
                    continue
                finding = Finding(code, "$.messages", message)
                self._found += [(index, finding) for index, found in pairs if found == shape]

    def _note_same_outputs(self, indexes: Sequence[int], examples: Sequence[Example]) -> None:
        """Of plain lines: of others there is more to compare than the texts, which has been done."""
        for index, example in zip(indexes, examples, strict=True):
            if not isinstance(example[-1], Turn) and example[-1].content == example[-2].content:
                self._note(index, Finding("identical_outputs", "$", "the two outputs are the same"))

    def _examine(self, lines: Lines, index: int, line: bytes) -> list[Turn]:
        """A line that is not good, or not surely so; its turns unless there is an error in it."""
        if len(line) > rules().ours.line_bytes:
            message = f"{lines.length(index):,} bytes, but a line may have {rules().ours.line_bytes:,}"
            self._note(index, Finding("line_too_long", None, message))
            return []
        findings, turns = examine_line(line, self._job.format, self._job.provider)
        for finding in findings:
            self._note(index, finding)
        images = sum(turn.images_low + turn.images_high for turn in turns)
        self.part.tally.images += images
        self.part.tally.image_examples += bool(images)
        return turns

    def _count(self, index: int, tokens: int, trained: int) -> None:
        self.part.tally.add_tokens(tokens, trained, self._limits)
        limit = self._job.example_tokens
        if limit is not None and tokens > limit:
            message = f"{tokens:,} tokens, but the model is trained on the first {limit:,} of an example"
            self._note(index, Finding("truncated", None, message))

    def _note(self, index: int, finding: Finding) -> None:
        """Keep for the end of the block, where all is told in the order of the lines, whatever way they took."""
        if self.part.room(finding.code):
            self._found.append((index, finding))
        else:
            self.part.count(finding.code)

    def _report(self, lines: Lines, index: int, finding: Finding) -> None:
        if not self.part.room(finding.code):
            self.part.count(finding.code)
            return
        line, offset = lines.place(index)
        self.part.add_problem(
            problem(
                finding.code,
                finding.message,
                line=line,
                offset=offset + (finding.at or 0),
                path=finding.path,
                hint=finding.hint,
            )
        )


def _shape_of(example: Example) -> Shape:
    if isinstance(example[0], Turn):
        return tuple([turn.role for turn in example])
    return tuple(map(type, example))


def _said(message: Message | Turn) -> str:
    return message.content + message.calls


def _ends(example: Example) -> Example:
    """The last messages with something to say, be it calls."""
    if not isinstance(example[0], Turn):
        return example
    turns = cast("Sequence[Turn]", example[-2:])
    return [replace(turn, content=(turn.content or turn.calls).replace("\x01", "")) for turn in turns]
