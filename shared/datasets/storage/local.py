"""Stores bytes in a folder. obstore's local store is not used: it neither syncs to disk nor can abort a write."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from shared.datasets.storage.ahead import AHEAD, mark_of
from shared.datasets.storage.chunks import Piece, Source, StoredObject, join_pieces

UNFINISHED = ".part"
READ_AHEAD_BYTES = 1 << 20


class Folder:
    """Stores one file per id. Its name ends in `.part` while it is written."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def sink(self, id: str) -> "FileSink":
        self._path.mkdir(parents=True, exist_ok=True)
        return FileSink(self._path / id)

    def open(self, key: str) -> BinaryIO:
        return (self._path / key).open("rb")

    def open_joined(self, pieces: Sequence[Piece]) -> BinaryIO:
        return join_pieces(self._read_into, Source(str(self._path.absolute()), list(pieces)), READ_AHEAD_BYTES)

    def _read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        with (self._path / key).open("rb", buffering=0) as file:
            file.seek(offset)
            return file.readinto(buffer)

    def size(self, key: str) -> int:
        return (self._path / key).stat().st_size

    def get(self, key: str) -> bytes:
        return (self._path / key).read_bytes()

    def put(self, key: str, content: bytes) -> None:
        sink = self.sink(key)
        try:
            sink.write(memoryview(content))
            sink.finish()
        except BaseException:
            sink.close()
            self.remove([key + UNFINISHED])
            raise

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            (self._path / key).unlink(missing_ok=True)

    def keys_of(self, id: str) -> Iterable[str]:
        return id + UNFINISHED, id, id + AHEAD

    def open_ahead(self, id: str, file: BinaryIO) -> BinaryIO:
        """Open what was found ahead in this `file`. Raises `FileNotFoundError` if nothing is, or that of another."""
        mark = mark_of(file.fileno())
        ahead = (self._path / (id + AHEAD)).open("r+b", buffering=0)
        if ahead.read(len(mark)) == mark:
            return ahead
        ahead.close()
        raise FileNotFoundError(f"{id}{AHEAD} was made for another file")

    def list_objects(self) -> Iterator[StoredObject]:
        names = sorted(entry.name for entry in os.scandir(self._path)) if self._path.is_dir() else []
        for name in names:
            try:
                yield StoredObject(name, (self._path / name).stat().st_mtime)
            except FileNotFoundError:
                continue  # another process has removed it since the listing


class FileSink:
    """Writes a file under a temporary name, and renames it when it is complete and synced to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + UNFINISHED)
        self._file = self._unfinished.open("xb", buffering=0)

    def write(self, chunk: memoryview) -> None:
        while chunk:
            chunk = chunk[self._file.write(chunk) :]

    def begin_ahead(self) -> None:
        """Make the file for what is found ahead in this one."""
        with self._path.with_name(self._path.name + AHEAD).open("xb") as file:
            file.write(mark_of(self._file.fileno()))

    def finish(self) -> list[Piece]:
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self._unfinished.rename(self._path)
        _sync(self._path.parent)
        return [Piece(self._path.name, size)]

    def close(self) -> None:
        self._file.close()


def _sync(folder: Path) -> None:
    """Sync the folder: without it a power failure may undo the rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
