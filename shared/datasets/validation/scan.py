"""Checks the lines of one range of a file: the fast way where lines are plain, the obvious one for all others."""

from array import array
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

import msgspec

from shared.datasets.validation.blocks import Block, blocks
from shared.datasets.validation.codes import problem
from shared.datasets.validation.fast import FAST, Message, is_plain, tail_keys
from shared.datasets.validation.openings import Opening, opening_of
from shared.datasets.validation.part import Part
from shared.datasets.validation.rules import rules
from shared.datasets.validation.shapes import CHAT, PREFERENCE, REINFORCEMENT, Turn, name_of, of_roles
from shared.datasets.validation.slow import examine_line
from shared.datasets.validation.strict_json import Finding
from shared.datasets.validation.token_sums import TokenSums

BOM = b"\xef\xbb\xbf"
MAX_KNOWN_SHAPES = 1_000


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
        self._shapes: dict[tuple[type[Message], ...], tuple[str, list[tuple[str, str]]]] = {}

    def range(self, file: BinaryIO, start: int, end: int) -> Part:
        """All lines that begin between two bytes of a file."""
        self.part, self._opening = Part(), None
        for block in blocks(file, start, end, rules().ours.line_bytes):
            self._block(Lines(block, self.part.lines))
        return self.part

    def _block(self, lines: Lines) -> None:
        examples = self._all_plain(lines)
        if examples is not None:
            tails, count = self._accept(lines, range(len(examples)), examples), len(examples)
        else:
            tails, count = self._take_each(lines)
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
        indexes, examples = [], []
        for index, line in enumerate(lines.lines):
            if index + lines.block.offset == 0 and line.startswith(BOM):
                self._report(lines, index, Finding("utf8_bom", None, "the file begins with a byte order mark"))
                line = b"   " + line.removeprefix(BOM)
            messages = self._plain(line)
            if messages is not None:
                indexes.append(index)
                examples.append(messages)
            elif line.strip():
                tails[index] = self._examine(lines, index, line)
            else:
                blank += 1
                self._report(lines, index, Finding("blank_line", None, "the line is blank"))
        for index, tail in zip(indexes, self._accept(lines, indexes, examples), strict=True):
            tails[index] = tail
        return tails, len(tails) - blank

    def _plain(self, line: bytes) -> Sequence[Message] | None:
        try:
            messages = self._fast.messages(self._fast.decode(line))
        except (ValueError, RecursionError):
            return None
        return messages if is_plain(line, len(messages), self._fast) else None

    def _accept(self, lines: Lines, indexes: Sequence[int], examples: Sequence[Sequence[Message]]) -> "array[int]":
        """Count plain examples, all at once; what can still be wrong with them is the sequence of their roles."""
        shapes = [tuple(map(type, messages)) for messages in examples]
        for shape, times in Counter(shapes).items():
            name, codes = self._shape(shape)
            self.part.tally.add_shape(name, len(shape), times)
            if codes:
                self._report_all(lines, [i for i, found in zip(indexes, shapes, strict=True) if found == shape], codes)
        self.part.add_answers(messages[self._answer].content for messages in examples)
        if self._job.format == PREFERENCE:
            self._report_same_outputs(lines, indexes, examples)
        if self._tokens:
            for index, messages in zip(indexes, examples, strict=True):
                self._count(lines, index, *self._tokens.of_messages(messages))
        return tail_keys(examples)

    def _shape(self, shape: tuple[type[Message], ...]) -> tuple[str, list[tuple[str, str]]]:
        known = self._shapes.get(shape)
        if known is None:
            roles = [type_.role for type_ in shape]
            known = name_of(roles), list(of_roles(self._format, roles))
            if len(self._shapes) < MAX_KNOWN_SHAPES:
                self._shapes[shape] = known
        return known

    def _report_all(self, lines: Lines, indexes: list[int], codes: list[tuple[str, str]]) -> None:
        for code, message in codes:
            room = self.part.room(code)
            for index in indexes[:room]:
                self._report(lines, index, Finding(code, "$.messages", message))
            self.part.count(code, len(indexes[room:]))

    def _report_same_outputs(self, lines: Lines, indexes: Sequence[int], examples: Sequence[Sequence[Message]]) -> None:
        for index, messages in zip(indexes, examples, strict=True):
            if messages[-1].content == messages[-2].content:
                self._report(lines, index, Finding("identical_outputs", "$", "the two outputs are the same"))

    def _examine(self, lines: Lines, index: int, line: bytes) -> int:
        """A line that is not plain; the key of its end if it is good, else 0."""
        if len(line) > rules().ours.line_bytes:
            message = f"{lines.length(index):,} bytes, but a line may have {rules().ours.line_bytes:,}"
            self._report(lines, index, Finding("line_too_long", None, message))
            return 0
        findings, turns = examine_line(line, self._job.format, self._job.provider)
        for finding in findings:
            self._report(lines, index, finding)
        return self._accept_turns(lines, index, turns) if turns else 0

    def _accept_turns(self, lines: Lines, index: int, turns: list[Turn]) -> int:
        tally, images = self.part.tally, sum(turn.images_low + turn.images_high for turn in turns)
        tally.add_shape(name_of([turn.role for turn in turns]), len(turns))
        tally.images += images
        tally.image_examples += bool(images)
        self.part.add_answers([turns[self._answer].content + turns[self._answer].calls])
        if self._tokens:
            self._count(lines, index, *self._tokens.of_turns(turns))
        ends = [turn._replace(content=(turn.content or turn.calls).replace("\x01", "")) for turn in turns[-2:]]
        return tail_keys([ends])[0]

    def _count(self, lines: Lines, index: int, tokens: int, trained: int) -> None:
        self.part.tally.add_tokens(tokens, trained, self._limits)
        limit = self._job.example_tokens
        if limit is not None and tokens > limit:
            message = f"{tokens:,} tokens, but the model is trained on the first {limit:,} of an example"
            self._report(lines, index, Finding("truncated", None, message))

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
