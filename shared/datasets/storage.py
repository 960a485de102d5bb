"""Where the bytes of datasets lie: a folder, one file per dataset, named by its id."""

import os
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from shared.settings import get_settings

_UNFINISHED = ".part"
_ABANDONED_AFTER = 3600.0


def _path(dataset_id: str) -> Path:
    return get_settings().storage / dataset_id


def open_dataset(dataset_id: str) -> BinaryIO:
    return _path(dataset_id).open("rb")


def remove(dataset_id: str) -> None:
    _path(dataset_id).unlink(missing_ok=True)


class Writer:
    """Bytes on their way in. They exist under the dataset's name only after `finish`, complete and on the disk."""

    def __init__(self, dataset_id: str) -> None:
        self._path = _path(dataset_id)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._unfinished = self._path.with_name(self._path.name + _UNFINISHED)
        self._file = self._unfinished.open("xb", buffering=0)
        self._hash = sha256()
        self.bytes = 0

    def write(self, chunk: bytes | bytearray) -> None:
        view = memoryview(chunk)
        self._hash.update(view)
        self.bytes += len(view)
        while view:
            view = view[self._file.write(view) :]

    def finish(self) -> str:
        """Keep what was written; its SHA-256 in hexadecimal."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.rename(self._path)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Leave nothing behind, whether or not it was finished."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


def chunks(file: BinaryIO, size: int = 1 << 18) -> Iterator[bytes]:
    """The file from where it stands, piece by piece; it is closed at the end."""
    with file:
        while chunk := file.read(size):
            yield chunk


def remove_leftovers(is_known: Callable[[str], bool]) -> list[str]:
    """Remove what a killed process left: unfinished files, and bytes of which no row knows, an hour old or more."""
    folder = get_settings().storage
    if not folder.is_dir():
        return []
    abandoned = time.time() - _ABANDONED_AFTER
    removed = []
    for path in folder.glob("file-*"):
        try:
            leftover = path.stat().st_mtime < abandoned and (path.suffix == _UNFINISHED or not is_known(path.name))
        except FileNotFoundError:
            continue
        if leftover:
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed
