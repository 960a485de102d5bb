"""Decodes JSON values one after another from a stream of text, without holding more than one of them."""

import json
import math
import re
from typing import Any, TextIO

from cli.datasets.conversion.rows import RowProblem

CHUNK_CHARACTERS = 1 << 18
# Between values: what JSON allows, commas, byte order marks of files that were glued, and RFC 7464's separator.
_BETWEEN = re.compile(r"[\s,\ufeff\x1e]*")
# An error this close to the end of what has been read may be that of a value which goes on.
_NEAR_END = 16


class BrokenValue(RowProblem):
    """What comes next is not JSON; `skip_broken_value` goes behind it."""


class JsonText:
    """A position in a stream of text, and the line it is in."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._buffer, self._at = "", 0
        self.line = 1
        self._indent = ""
        self._repeated: list[str] = []
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=_refuse_constant, parse_float=_finite
        )

    def next_character(self) -> str:
        """The first character of what comes next, "" at the end; white space and commas before it are skipped."""
        while True:
            end = self._end_of_gap(self._at)
            self._skip_to(end)
            if end < len(self._buffer):
                return self._buffer[end]
            if not self._read_more():
                return ""

    def match_ahead(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """A match of what comes next, within the next thousands of characters."""
        if len(self._buffer) - self._at < CHUNK_CHARACTERS // 2:
            self._read_more()
        return pattern.match(self._buffer, self._at)

    def skip(self, match: re.Match[str]) -> None:
        """Go to the end of a match of `match_ahead`."""
        self._skip_to(match.end())

    def take_character(self) -> None:
        self._skip_to(self._at + 1)

    def element_ahead(self) -> Any:
        """The first element of the list that begins here, without moving."""
        start = self._at
        while (first := self._end_of_gap(start + 1)) >= len(self._buffer):
            if not self._read_more():
                return None
            start = 0
        if self._buffer[first] == "]":
            return None
        return self._decode(first - self._at)[0]

    def take_value(self) -> Any:
        """The value that begins here. Raises `BrokenValue`, or `RowProblem` behind a value that must not be used."""
        value, end = self._decode(0)
        self._skip_to(end)
        if self._repeated:
            names = ", ".join(f"`{name[:40]}`" for name in dict.fromkeys(self._repeated))
            raise RowProblem(f"the name {names} occurs twice in one object, with different values: keep one of them")
        return value

    def take_line(self) -> str:
        """What is left of this line, for values that are not JSON."""
        while (end := self._buffer.find("\n", self._at)) < 0 and self._read_more():
            pass
        return self._buffer[self._at : end if end >= 0 else len(self._buffer)]

    def skip_line(self, text: str) -> None:
        self._skip_to(self._at + len(text))

    def skip_broken_value(self) -> None:
        """Go to the next value: on a line that is indented as this one, or glued to a brace; without one to the end.

        Objects inside a value are behind a comma, so they are not taken for the next value.
        """
        begins = re.compile(rf"\n{self._indent}(?=[{{\[])|\}}(?=\{{)")
        while True:
            found = begins.search(self._buffer, self._at)
            if found:
                self._skip_to(found.end())
                return
            # Keep the last characters: the next line's beginning may be cut in two.
            self._skip_to(max(self._at, len(self._buffer) - len(self._indent) - 2))
            if not self._read_more():
                self._skip_to(len(self._buffer))
                return

    def _decode(self, offset: int) -> tuple[Any, int]:
        """The value at an offset from here, and where it ends. The offset stays right when more is read."""
        while True:
            self._repeated.clear()
            try:
                return self._decoder.raw_decode(self._buffer, self._at + offset)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._read_more():
                    continue
                raise BrokenValue(self._sentence(error)) from None
            except RecursionError:
                raise BrokenValue("not JSON that can be read: it is nested too deeply") from None
            except ValueError as error:
                raise BrokenValue(f"not JSON: {error}") from None

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._buffer) - _NEAR_END

    def _sentence(self, error: json.JSONDecodeError) -> str:
        lines = self._buffer.count("\n", self._at, error.pos)
        where = f"line {self.line + lines}" if lines else f"character {error.pos - self._at + 1:,} of the row"
        if error.pos >= len(self._buffer.rstrip()) or error.msg.startswith("Unterminated string"):
            return f"not JSON: it is cut off ({where})"
        if error.msg.startswith("Invalid control character") and error.doc[error.pos] == "\n":
            return f"not JSON: a text is cut off by the end of the line, or has a line break that is not \\n ({where})"
        what = error.msg[0].lower() + error.msg[1:].removesuffix(" at").removesuffix(" starting")
        return f"not JSON: {what} ({where})"

    def _end_of_gap(self, start: int) -> int:
        found = _BETWEEN.match(self._buffer, start)
        return found.end() if found else start

    def _skip_to(self, end: int) -> None:
        newlines = self._buffer.count("\n", self._at, end)
        if newlines:
            begin = self._buffer.rfind("\n", self._at, end) + 1
            rest = self._buffer[begin:end]
            self._indent = rest if rest.strip(" \t") == "" else ""
            self.line += newlines
        self._at = end

    def _read_more(self) -> bool:
        """Read at least as much as is unread, so that repeated attempts at a long value take linear time."""
        chunk = self._file.read(max(CHUNK_CHARACTERS, len(self._buffer) - self._at))
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        return bool(chunk)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self._repeated += [name for name, value in pairs if found[name] != value]
        return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value. Write null, or leave the field out")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number
