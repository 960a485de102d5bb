"""Reduces texts and examples to what is compared when looking for duplicates."""

import string
from array import array
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Protocol
from zlib import crc32

# Characters taken from the end of a text before it is normalized, and those compared afterwards.
TAIL_CHARACTERS, NORMALIZED_TAIL_BYTES = 36, 20
NOT_ZERO = 1  # the start of the checksum: 0 marks a line without a valid example
_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_IGNORED = (string.whitespace + string.punctuation).encode()
_ESCAPED_SPACES = rb"\n", rb"\r", rb"\t"
SEPARATOR = "\x01"
_last = itemgetter(slice(-NORMALIZED_TAIL_BYTES, None))


class HasText(Protocol):
    @property
    def content(self) -> str: ...

    @property
    def calls(self) -> str: ...


def tail_fingerprints(examples: Sequence[Sequence[HasText]]) -> "array[int]":
    """For each example 32 bits of the ends of its last two messages; duplicates and near duplicates have them equal.

    The text of a message without content is that of its calls.
    """
    if not examples:
        return array("I")
    answers = _tails([messages[-1].content or messages[-1].calls for messages in examples])
    questions = _tails(
        [messages[-2].content or messages[-2].calls if len(messages) > 1 else "" for messages in examples]
    )
    return array("I", map(crc32, questions, map(crc32, answers, repeat(NOT_ZERO))))


def _tails(texts: list[str]) -> Iterable[bytes]:
    """The normalized end of each text. All are normalized in one call, which is faster than one call for each."""
    joined = SEPARATOR.join([text[-TAIL_CHARACTERS:] for text in texts])
    if joined.count(SEPARATOR) >= len(texts):
        joined = SEPARATOR.join([text.replace(SEPARATOR, "")[-TAIL_CHARACTERS:] for text in texts])
    normal = normalized(joined.encode(errors="surrogatepass"))
    return map(_last, normal.split(SEPARATOR.encode()))


def normalized(text: bytes) -> bytes:
    """The text in lower case, without spaces and punctuation; letters outside ASCII are kept as they are."""
    return text.translate(_LOWER, _IGNORED)


def normalized_line(line: bytes) -> bytes:
    """A line of JSON normalized, and without the spaces written as escapes."""
    for escape in _ESCAPED_SPACES:
        line = line.replace(escape, b"\n")
    return normalized(line)


def normalized_lines(lines: Iterable[bytes]) -> list[bytes]:
    """Each line of JSON normalized. It is one call for all, which is faster: no JSON has the separator."""
    separator = SEPARATOR.encode()
    return normalized_line(separator.join(lines)).split(separator)
