"""Calls a function before each read of a file, so that code which reads for long need not know of heartbeats."""

from collections.abc import Callable
from io import SEEK_SET, BufferedReader, RawIOBase
from typing import BinaryIO

from typing_extensions import Buffer

READ_AHEAD_BYTES = 1 << 18


def call_before_reads(file: BinaryIO, before_read: Callable[[], object]) -> BinaryIO:
    """The same bytes; `before_read` is called before each block is read, and an exception in it ends the reading."""
    return BufferedReader(_ReportingReader(file, before_read), READ_AHEAD_BYTES)


class _ReportingReader(RawIOBase):
    def __init__(self, file: BinaryIO, before_read: Callable[[], object]) -> None:
        self._file, self._before_read = file, before_read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Buffer) -> int:
        self._before_read()
        view = memoryview(buffer)
        read = self._file.read(len(view))
        view[: len(read)] = read
        return len(read)
