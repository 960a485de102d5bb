"""Reduces texts and examples to what is compared when looking for duplicates."""

import re
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
_ESCAPED_SPACE = re.compile(rb"\\[nrt]")
SEPARATOR = "\x01"  # not in plain texts, where `is_suspicious` finds its escape; the scanner removes it from others
_last = itemgetter(slice(-NORMALIZED_TAIL_BYTES, None))


class HasContent(Protocol):
    @property
    def content(self) -> str: ...


def tail_fingerprints(examples: Sequence[Sequence[HasContent]]) -> "array[int]":
    """For each example 32 bits of the ends of its last two messages; duplicates and near duplicates have them equal."""
    if not examples:
        return array("I")
    answers = _tails([messages[-1].content[-TAIL_CHARACTERS:] for messages in examples])
    questions = _tails([messages[-2].content[-TAIL_CHARACTERS:] if len(messages) > 1 else "" for messages in examples])
    return array("I", map(crc32, questions, map(crc32, answers, repeat(NOT_ZERO))))


def _tails(texts: list[str]) -> Iterable[bytes]:
    """The normalized end of each text. All are normalized in one call, which is faster than one call for each."""
    joined = normalized(SEPARATOR.join(texts).encode(errors="surrogatepass"))
    return map(_last, joined.split(SEPARATOR.encode()))


def normalized(text: bytes) -> bytes:
    """The text in lower case, without spaces and punctuation; letters outside ASCII are kept as they are."""
    return text.translate(_LOWER, _IGNORED)


def normalized_line(line: bytes) -> bytes:
    """A line of JSON normalized, and without the spaces written as escapes."""
    return normalized(_ESCAPED_SPACE.sub(b"", line))


def normalized_lines(lines: Iterable[bytes]) -> list[bytes]:
    """Each line of JSON normalized. It is one call for all, which is faster: no JSON has the separator."""
    separator = SEPARATOR.encode()
    return normalized_line(separator.join(lines)).split(separator)
