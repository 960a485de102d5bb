"""The protocol that a storage location implements, and a file object that reads several pieces as one."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from io import SEEK_CUR, SEEK_SET, BufferedReader, RawIOBase
from itertools import accumulate
from typing import BinaryIO, NamedTuple, Protocol

from typing_extensions import Buffer


class Piece(NamedTuple):
    """Stored bytes: their key (`file-…`, `part_…`, or `<id>/00001` below one of these), and their size."""

    key: str
    size: int


class Source(NamedTuple):
    """All that another process needs to open a file: the storage setting, and the pieces in order."""

    storage: str
    pieces: list[Piece]


class StoredObject(NamedTuple):
    """A stored object: its key, and when it was last changed in Unix seconds."""

    key: str
    changed_at: float


class Sink(Protocol):
    """Takes the bytes of one id, in order. They can be read only after `finish`."""

    def write(self, chunk: memoryview) -> None: ...

    def finish(self) -> list[Piece]: ...

    def close(self) -> None:
        """Release the resources of an unfinished write; stored bytes stay until they are removed."""


class Location(Protocol):
    """A folder or a bucket. Every failure raises `OSError`; a key that does not exist raises `FileNotFoundError`."""

    def sink(self, id: str) -> Sink: ...

    def open(self, key: str) -> BinaryIO: ...

    def open_joined(self, pieces: Sequence[Piece]) -> BinaryIO: ...

    def size(self, key: str) -> int: ...

    def get(self, key: str) -> bytes: ...

    def put(self, key: str, content: bytes) -> None:
        """Store small content atomically: after a failure nothing of it is readable."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove these keys. Keys that do not exist are ignored."""

    def keys_of(self, id: str) -> Iterable[str]:
        """Return all keys under which bytes of an id may be stored, finished or not."""

    def list_objects(self) -> Iterator[StoredObject]:
        """Yield everything that is stored, in the order of the keys."""


class ReadInto(Protocol):
    """Reads bytes of a piece from an offset into the buffer, and returns how many."""

    def __call__(self, key: str, offset: int, buffer: memoryview) -> int: ...


def join_pieces(read_into: ReadInto, source: Source, read_ahead_bytes: int) -> BinaryIO:
    """Return a file that reads the pieces as one, with `read`, `readline` and `seek`, in constant memory."""
    return BufferedReader(JoinedFile(read_into, source), read_ahead_bytes)


class JoinedFile(RawIOBase):
    def __init__(self, read_into: ReadInto, source: Source) -> None:
        self.source = source
        self._read_into = read_into
        self._pieces = source.pieces
        self._ends = list(accumulate(piece.size for piece in source.pieces))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        start = 0 if whence == SEEK_SET else self._position if whence == SEEK_CUR else self._size
        if start + offset < 0:
            raise ValueError("cannot seek to before the start of the file")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Read from one piece only; the next call continues with the next piece."""
        if self._position >= self._size:
            return 0
        index = bisect_right(self._ends, self._position)
        left = self._ends[index] - self._position
        piece = self._pieces[index]
        received = self._read_into(piece.key, piece.size - left, memoryview(buffer)[:left])
        if received == 0:
            raise OSError(f"{piece.key} ends before its {piece.size} bytes: it was cut off in the storage")
        self._position += received
        return received

    def readall(self) -> bytes:
        """Read the rest at once; the inherited method asks for 8 kB at a time."""
        rest = memoryview(bytearray(max(0, self._size - self._position)))
        received = 0
        while received < len(rest):
            received += self.readinto(rest[received:])
        return bytes(rest)

    @property
    def _size(self) -> int:
        return self._ends[-1] if self._ends else 0
