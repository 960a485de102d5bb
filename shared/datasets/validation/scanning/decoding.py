"""Decodes lines on the fastest path that takes them, plain or rich, and counts their warnings."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import compress, count
from typing import Any

from shared.datasets.validation.lines.plain import PLAIN_FORMATS, PlainMessage, read_plain, read_plain_among
from shared.datasets.validation.lines.rich import RichDecoder
from shared.datasets.validation.lines.secrets import is_suspicious, may_be_odd
from shared.datasets.validation.lines.shared_prefix import SharedPrefix, shared_prefix_of
from shared.datasets.validation.lines.texts import MAX_COUNTED
from shared.datasets.validation.reading.escapes import texts_with_halves, with_whole_pairs
from shared.datasets.validation.rules.formats import CHAT, REINFORCEMENT
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.examples import Example, images_of
from shared.datasets.validation.scanning.noted import Noted
from shared.datasets.validation.scanning.range_result import RangeResult

MAX_AT_ONCE = 256  # lines, of a block in which some may have a finding


class LineDecoder:
    """Decodes the lines of one range, and adds their warnings to its result."""

    def __init__(self, format: str, provider: str) -> None:
        self._plain = PLAIN_FORMATS[format]
        self._rich = RichDecoder(format, rules().limits(provider))
        self._has_prefix = format in (CHAT, REINFORCEMENT)
        self._prefix: SharedPrefix | None = None
        self._result, self._noted = RangeResult(), Noted(RangeResult())
        self._is_suspicious = False  # the lines that are decoded now, or a message that was removed from them

    def begin(self, result: RangeResult, noted: Noted) -> None:
        """Decode the lines of another range from now on."""
        self._result, self._noted, self._prefix = result, noted, None

    def decode_block(self, lines: list[bytes], data: bytes) -> Sequence[Example] | None:
        """Lines, `data` being all of them; None if they are to be decoded apart, as `decode_each` does."""
        return self._decode(lines, data, mixed=self._is_mixed)

    def plain_among(self, lines: Sequence[bytes]) -> Mapping[int, Example]:
        """The examples of plain lines without a finding, by the index of the line."""
        return read_plain_among(lines, self._plain)

    def _is_mixed(self, lines: list[bytes]) -> bool:
        """Whether some of these lines, which are not all plain, are plain: these are decoded faster by themselves."""
        return bool(self.plain_among([lines[0], lines[len(lines) // 2], lines[-1]]))

    def _decode(
        self, lines: list[bytes], data: bytes, mixed: Callable[[list[bytes]], bool] = lambda _: False
    ) -> Sequence[Example] | None:
        """Lines, `data` being all of them; None if one of them may have a finding whose place is to be said.

        Lines that are `mixed` are not decoded either.
        """
        is_odd = may_be_odd(data)
        whole = with_whole_pairs(data) if is_odd else data
        self._is_suspicious = is_odd and is_suspicious(whole)
        if whole is data:
            return self._read_plain(lines, data) or (None if mixed(lines) else self._read_rich(lines, data, []))
        halves = ["lone_surrogate"] * texts_with_halves(data)
        lines = BytesIO(whole).readlines()
        return self._read_whole(lines, whole, halves) or self._read_rich(lines, whole, halves)

    def decode_each(self, lines: Sequence[bytes]) -> Iterator[tuple[int, Sequence[Example]]]:
        """Lines of which some may have a finding: where those begin that are decoded at once, and their examples.

        A line that must be examined comes alone, without an example. What follows it is decoded later, since it may
        fill the list of a code.
        """
        start, size = 0, MAX_AT_ONCE
        while start < len(lines):
            some = list(lines[start : start + size])
            decoded = self._decode(some, b"".join(some))
            if decoded is None and len(some) > 1:
                size = self._decodable(some)
                continue
            yield start, decoded or ()
            start += len(some)
            size = min(4 * size, MAX_AT_ONCE) if decoded else 1

    def _decodable(self, lines: list[bytes]) -> int:
        """How many lines to try next, after these failed: those before the first that may have a secret or an escape,
        or the first that have the types of one path, or fewer."""
        if before := next(compress(count(), map(is_suspicious, lines)), 0):
            return before
        for decode in (self._plain.decode, self._rich.decode):
            examples: list[Any] = []
            with suppress(ValueError, RecursionError):
                examples.extend(map(decode, lines))
            if examples:  # if all have the types, one of them has something else
                return len(examples) if len(examples) < len(lines) else len(lines) // 4 or 1
        return 1

    def _read_plain(self, lines: list[bytes], data: bytes) -> list[list[PlainMessage]] | None:
        """Plain lines, read without the first message that those before them share."""
        rest = self._prefix.remove_from(lines) if self._prefix else None
        if not (self._prefix and rest):
            return self._read_whole(lines, data, [])
        examples = self._read_whole(rest, b"".join(rest), [])
        for messages in examples or ():
            messages.insert(0, self._prefix.message)
        return examples

    def _read_whole(self, lines: list[bytes], data: bytes, halves: list[str]) -> list[list[PlainMessage]] | None:
        read = read_plain(lines, data, self._plain, self._is_suspicious)
        if read is None or not self._count(Counter(read.codes), lines, halves):
            return None
        if self._has_prefix and not (self._prefix or read.codes or halves):
            self._prefix = shared_prefix_of(lines[-1], read.examples[-1])
        return read.examples

    def _read_rich(self, lines: list[bytes], data: bytes, halves: list[str]) -> Sequence[Example] | None:
        """Lines without errors whose warnings need only be counted, because enough of their codes are kept."""
        read = self._rich.read(lines, data, self._is_suspicious, self._noted.only_counts)
        if read is None or not self._count(read.found, lines, halves):
            return None
        if read.images:
            for messages in read.examples:
                self._result.statistics.add_images(images_of(messages))
        return read.examples

    def _count(self, found: Counter[str], lines: list[bytes], halves: list[str]) -> bool:
        """Count findings and `halves` of surrogate pairs; False if it is to be said where they are."""
        if not self._noted.only_counts([*found, *halves[:1]]):
            return False
        if halves and found.total() + len(halves) > MAX_COUNTED < max(map(len, lines)):
            return False  # one line may have all of them
        self._noted.count(found)
        self._noted.count(Counter(halves))
        return True
