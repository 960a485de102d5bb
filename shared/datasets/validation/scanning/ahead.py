"""Examines a file while it is being written, and keeps the results of its ranges for the check.

They lie in a file of their own, those of each slice at a place of its own, so that several processes can write them.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import BinaryIO

import msgspec

from shared.datasets.storage.ahead import MAX_LINE_BYTES, SLICE_BYTES, slices_of
from shared.datasets.validation.reading.blocks import BLOCK_BYTES, size_of
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.processes import ranges
from shared.datasets.validation.scanning.range_result import RangeResult
from shared.datasets.validation.scanning.scanner import RangeScanner, ScanOptions

FIRST_BYTE = 4096  # of the first slice's results; the mark of the file is before it
MAX_BYTES = SLICE_BYTES // 8  # of a slice's results, so that lines without end cannot fill the disk; others are dropped
MOST_BYTES = 64 << 20  # of all results that a check keeps in memory
_HEAD = Struct("<?II16s")  # is examined to its end, bytes that follow, findings in wrong lines, checksum of the bytes
_VALIDATION = Path(__file__).parents[1]


class Found(msgspec.Struct, frozen=True):
    """The results of the first ranges of a slice, where it starts, and the code and the options that made them."""

    code: bytes
    start: int
    options: ScanOptions
    results: list[RangeResult]


class AheadFile:
    """The slices that are examined of one file."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()

    @contextmanager
    def claim(self, number: int) -> Iterator[bool]:
        """Whether this process is to examine a slice: nobody has, to its end, and no other process does.

        The end of the process gives it back.
        """
        place = _place(number)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            yield False
            return
        try:
            yield not self._head(number)[0]
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def keep(self, number: int, options: ScanOptions, results: list[RangeResult], *, is_whole: bool) -> None:
        body = _encoded(number, options, results)
        if len(body) > MAX_BYTES - _HEAD.size:
            body, is_whole = _encoded(number, options, []), True
        wrong = sum(each.in_wrong_lines for each in results)
        head = _HEAD.pack(is_whole, len(body), wrong, _checksum(body))
        os.pwrite(self._descriptor, head + body, _place(number))

    def read(self, number: int) -> bytes:
        """What is kept of a slice, for `results_of`; nothing if it is missing or broken."""
        _, length, _, checksum = self._head(number)
        body = os.pread(self._descriptor, min(length, MAX_BYTES), _place(number) + _HEAD.size)
        return body if _checksum(body) == checksum else b""

    def is_hopeless(self, slices: int) -> bool:
        """Whether so much is wrong in these slices that the check will stop."""
        wrong = sum(self._head(number)[2] for number in range(slices))
        return wrong >= rules().ours.findings_in_wrong_lines

    def _head(self, number: int) -> tuple[bool, int, int, bytes]:
        head = os.pread(self._descriptor, _HEAD.size, _place(number))
        is_whole, length, wrong, checksum = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
        return is_whole, length, wrong, checksum


def results_of(body: bytes, number: int, options: ScanOptions | None) -> list[RangeResult]:
    """The results of a slice, none if they are of another one, or were made with other options or by other code."""
    with suppress(msgspec.DecodeError):
        found = msgspec.msgpack.decode(body, type=Found)
        if (found.code, found.start, found.options) == (code_digest(), number * SLICE_BYTES, options):
            return found.results
    return []


class Known:
    """What was found ahead in a file: the results of ranges by their number, for a check with the same `options`."""

    def __init__(self, file: BinaryIO | None, options: ScanOptions | None, size: int) -> None:
        self.options = options
        self._bodies: list[bytes] = []  # as they were at once: who examined the file until now may write once more
        self._ranges: list[int] = []
        self._last: tuple[int, list[RangeResult]] = (-1, [])
        if file is not None:
            self._read(AheadFile(file), slices_of(size))

    def _read(self, ahead: AheadFile, slices: int) -> None:
        for number in range(slices):
            body = ahead.read(number) if sum(map(len, self._bodies)) < MOST_BYTES else b""
            self._bodies.append(body)
            self._ranges.append(len(results_of(body, number, self.options)))

    @property
    def bytes(self) -> int:
        return sum(self._ranges) * ranges(SLICE_BYTES)[0].end

    def __contains__(self, number: int) -> bool:
        slice_, position = divmod(number, len(ranges(SLICE_BYTES)))
        return slice_ < len(self._ranges) and position < self._ranges[slice_]

    def take(self, number: int) -> RangeResult:
        """The result of a range, once: whoever merges it changes it."""
        slice_, position = divmod(number, len(ranges(SLICE_BYTES)))
        if self._last[0] != slice_:
            self._last = slice_, results_of(self._bodies[slice_], slice_, self.options)
        return self._last[1][position]


def examine_ahead(file: BinaryIO, ahead: BinaryIO, options: ScanOptions, goes_on: Callable[[], bool]) -> None:
    """Examine what has come of this file and nobody has examined, slice by slice, as long as `goes_on` says so."""
    kept, scanner, number = AheadFile(ahead), RangeScanner(options), 0
    while number < slices_of(size_of(file)) and not kept.is_hopeless(number):
        with kept.claim(number) as is_mine:
            if is_mine and not _examine_slice(file, kept, scanner, options, number, goes_on):
                return
        number += 1


def _examine_slice(
    file: BinaryIO,
    kept: AheadFile,
    scanner: RangeScanner,
    options: ScanOptions,
    number: int,
    goes_on: Callable[[], bool],
) -> bool:
    """Examine what is left of a slice, and keep all of its results. False if that was broken off."""
    start, results, is_whole = number * SLICE_BYTES, results_of(kept.read(number), number, options), True
    left = ranges(SLICE_BYTES)[len(results) :]
    for each in left:
        if not (is_whole := goes_on()) or not _ends_line_near(file, start + each.end):
            break
        results.append(scanner.scan(file, start + each.start, start + each.end))
    if is_whole or len(results) + len(left) > len(ranges(SLICE_BYTES)):
        kept.keep(number, options, results, is_whole=is_whole)
    return is_whole


def _ends_line_near(file: BinaryIO, end: int) -> bool:
    """Whether the last line that begins before `end` has come as a whole."""
    position = file.seek(end - 1)
    while position < end + MAX_LINE_BYTES:
        piece = file.readline(min(BLOCK_BYTES, end + MAX_LINE_BYTES - position))
        position += len(piece)
        if piece.endswith(b"\n") or not piece:
            return bool(piece)
    return False


@cache
def code_digest() -> bytes:
    """Differs between releases that may find different things in the same bytes."""
    digest = blake2b(digest_size=16)
    for path in sorted(_VALIDATION.rglob("*")):
        if path.suffix in (".py", ".json"):
            digest.update(path.read_bytes())
    return digest.digest()


def _encoded(number: int, options: ScanOptions, results: list[RangeResult]) -> bytes:
    return msgspec.msgpack.encode(Found(code_digest(), number * SLICE_BYTES, options, results))


def _place(number: int) -> int:
    return FIRST_BYTE + number * MAX_BYTES


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()
