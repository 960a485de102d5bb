"""Removes the first message that all lines of a file share before they are decoded: often half of their bytes."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from shared.datasets.validation.lines.plain import PlainMessage

MIN_SHARED_CHARACTERS = 256  # removing a shorter message costs as much as decoding it


class _Example(msgspec.Struct):
    messages: list[msgspec.Raw]


_raw_messages = msgspec.json.Decoder(_Example).decode


class SharedPrefix(NamedTuple):
    """A first message, the bytes of a line `before` it, and all bytes of the line up to the second message."""

    before: bytes
    prefix: bytes
    message: PlainMessage

    def remove_from(self, lines: Sequence[bytes]) -> list[bytes] | None:
        """The lines without their first message; None unless all of them begin with this one."""
        length = len(self.prefix)
        if not lines[-1].startswith(self.prefix):
            return None
        rest = [self.before + line[length:] for line in lines if line.startswith(self.prefix)]
        return rest if len(rest) == len(lines) else None


def shared_prefix_of(line: bytes, messages: Sequence[PlainMessage]) -> SharedPrefix | None:
    """The prefix of a plain line with these `messages`; None if removing it would save no time."""
    if len(messages) < 2 or len(messages[0].content) < MIN_SHARED_CHARACTERS:
        return None
    first, second = map(bytes, _raw_messages(line).messages[:2])
    before = line.index(first)
    return SharedPrefix(line[:before], line[: line.index(second, before + len(first))], messages[0])
