"""Reads the first message of all lines once, where it is the same: so it is in most files, and often half of them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from shared.datasets.validation.lines.fast import Message


class _Example(msgspec.Struct):
    messages: list[msgspec.Raw]


WORTH_IT = 256  # bytes: to take fewer off costs as much as to read them
_messages_of = msgspec.json.Decoder(_Example).decode


class Opening(NamedTuple):
    """The first message of some lines, with the bytes of a line up to it, and up to the one after it."""

    before: bytes
    whole: bytes
    message: Message

    def taken_off(self, lines: Sequence[bytes]) -> list[bytes] | None:
        """The lines without their first message; None unless it is this one in all of them."""
        length = len(self.whole)
        if not lines[-1].startswith(self.whole):
            return None
        rest = [self.before + line[length:] for line in lines if line.startswith(self.whole)]
        return rest if len(rest) == len(lines) else None


def opening_of(line: bytes, messages: Sequence[Message]) -> Opening | None:
    """Of a plain line and what was read of it; None if it is not worth it."""
    if len(messages) < 2 or len(messages[0].content) < WORTH_IT:
        return None
    first, second = map(bytes, _messages_of(line).messages[:2])
    before = line.index(first)
    return Opening(line[:before], line[: line.index(second, before + len(first))], messages[0])
