"""A file that says when it is read from: whoever reads for long has no word for it of its own."""

from collections.abc import Callable
from io import SEEK_SET, BufferedReader, RawIOBase
from typing import BinaryIO

from typing_extensions import Buffer

READ_AHEAD = 1 << 18


def watched(file: BinaryIO, headway: Callable[[], object]) -> BinaryIO:
    """The same bytes; `headway` is called before some of them are read, and what it raises ends the reading."""
    return BufferedReader(_Watched(file, headway), READ_AHEAD)


class _Watched(RawIOBase):
    def __init__(self, file: BinaryIO, headway: Callable[[], object]) -> None:
        self._file, self._headway = file, headway

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Buffer) -> int:
        self._headway()
        room = memoryview(buffer)
        read = self._file.read(len(room))
        room[: len(read)] = read
        return len(read)
