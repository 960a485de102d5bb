"""Reads a list that has no pages item by item, so that a long one takes no more memory than what is kept of it."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from worker.net.call_limits import AnswerTooLarge

MAX_ITEMS = 200_000  # a job takes some three hundred bytes: more are no jobs, and would only take time
MAX_VALUE_CHARACTERS = 1 << 20  # of an item, and of what stands beside the list
_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


def items(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The objects in the list `data` of the answer, each as soon as it has come.

    An answer that is no such list, or is cut off, raises `ValueError`, perhaps after some items: nobody may act on what
    is not among them before the last has come. Raises `AnswerTooLarge` beyond a bound.
    """
    text, count, has_list = _Text(chunks), 0, False
    for _ in text.members("{}"):
        name = text.value()
        text.take(":")
        if name != "data":
            text.value()
            continue
        if has_list:
            raise ValueError("it has two lists")
        has_list = True
        for count, _ in enumerate(text.members("[]"), start=1):
            item = text.value()
            if not isinstance(item, dict):
                raise ValueError("it is no list of objects")
            if count > MAX_ITEMS:
                raise AnswerTooLarge(f"the list has more than {MAX_ITEMS} values", retryable=False)
            yield item
    if not has_list or text.peek():
        raise ValueError("it is no list of objects")


class _Text:
    """JSON that comes in pieces. What has been taken is forgotten."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = codecs.iterdecode(iter(chunks), "utf-8")
        self._text, self._at = "", 0

    def members(self, brackets: str) -> Iterator[None]:
        """Once for each member of an object or a list, which the caller takes then."""
        first, last = brackets[0], brackets[1]
        self.take(first)
        if self.peek() == last:
            self.take(last)
            return
        yield
        while self.take(f",{last}") == ",":
            yield

    def take(self, expected: str) -> str:
        """The next character, which must be one of these."""
        found = self.peek()
        if not found or found not in expected:
            raise ValueError(f"it has {found or 'an end'!r} where one of {expected!r} is expected")
        self._at += 1
        return found

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            self._at = _end_of_space(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def value(self) -> Any:
        """The next value. One that reaches to the end of what has come may go on."""
        self.peek()
        while True:
            try:
                found, end = _decode(self._text, self._at)
            except ValueError:  # it is wrong, or its end has not come yet
                end = len(self._text)
            if end < len(self._text):
                self._at = end
                return found
            if end - self._at > MAX_VALUE_CHARACTERS:
                raise AnswerTooLarge(f"a value has more than {MAX_VALUE_CHARACTERS} bytes", retryable=False)
            if not self._read():
                raise ValueError("it is no JSON, or is cut off")

    def _read(self) -> bool:
        """Whether there was more."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._text, self._at = self._text[self._at :] + chunk, 0
        return True


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start
