"""Stores the bytes of datasets and parts in the configured folder or bucket; callers need not know which."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from itertools import groupby, islice
from typing import BinaryIO, NamedTuple

from shared.datasets.storage.ahead import AHEAD, BEGINS_AT_BYTES, slices_of
from shared.datasets.storage.chunks import Location, Piece, StoredObject
from shared.datasets.storage.local import UNFINISHED, FileSink, Folder
from shared.datasets.storage.location import location_at
from shared.settings import get_settings

MANIFEST = ".parts"  # suffix of the object that lists the pieces of an id: JSON, [[key, size], …]
ABANDONED_AFTER = timedelta(hours=1)  # longer than any single write takes
LEFTOVER_BATCH_IDS = 500  # ids looked up in one query
_KEY = re.compile(r"((?:file-|part_)\w+)(?:[./].*)?")


def _location() -> Location:
    return location_at(get_settings().storage)


class Writer:
    """Writes the bytes of a dataset or of a part. They can be read only after `finish` has stored them durably."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.bytes = 0
        self._location = _location()
        self._sink = self._location.sink(id)
        self._hash = sha256()
        self._examinable = 0  # slices

    def write(self, chunk: bytes | bytearray) -> None:
        view = memoryview(chunk)
        self._hash.update(view)
        self.bytes += len(view)
        self._sink.write(view)

    def has_more_to_examine(self) -> bool:
        """Whether so much has come since the last call that a worker may examine it already; never in a bucket."""
        slices = slices_of(self.bytes)
        if slices == self._examinable or self.bytes < BEGINS_AT_BYTES or not isinstance(self._sink, FileSink):
            return False
        if not self._examinable:
            with suppress(OSError):
                self._sink.begin_ahead()
        self._examinable = slices
        return True

    def finish(self) -> str:
        """Complete the write, and return the SHA-256 of all bytes in hexadecimal."""
        pieces = self._sink.finish()
        if pieces != [Piece(self.id, self.bytes)]:
            _put_manifest(self._location, self.id, pieces)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Remove what was written, finished or not. If that fails, `remove_leftovers` does it later."""
        self._sink.close()
        with suppress(OSError):
            _remove(self._location, self.id)


class Stored(NamedTuple):
    """Bytes that are stored under an id: how many, and their SHA-256 in hexadecimal."""

    id: str
    bytes: int
    sha256: str


def store(id: str, chunks: Iterable[bytes]) -> Stored:
    """Store all chunks; if one raises, store nothing."""
    writer = Writer(id)
    try:
        for chunk in chunks:
            writer.write(chunk)
        return Stored(id, writer.bytes, writer.finish())
    except BaseException:
        writer.discard()
        raise


def open_dataset(dataset_id: str) -> BinaryIO:
    """Open the bytes for `read`, `readline` and `seek`. Raises `FileNotFoundError`.

    A dataset in a folder that was not sent in parts is a real file with a path.
    """
    location = _location()
    try:
        return location.open(dataset_id)
    except FileNotFoundError:
        return location.open_joined(_manifest(location, dataset_id))


def open_unfinished(dataset_id: str) -> BinaryIO:
    """Open what has come so far of a file that is being written. Raises `FileNotFoundError`, and always in a bucket."""
    location = _location()
    if not isinstance(location, Folder):
        raise FileNotFoundError("a bucket shows nothing of what is being written")
    return location.open(dataset_id + UNFINISHED)


def open_ahead(dataset_id: str, file: BinaryIO) -> BinaryIO:
    """Open what was found ahead in this file, for reading and writing. Raises `FileNotFoundError`."""
    location = _location()
    if not isinstance(location, Folder):
        raise FileNotFoundError("nothing is found ahead in a bucket")
    return location.open_ahead(dataset_id, file)


def remove_ahead(dataset_id: str) -> None:
    """Remove what was found ahead. If that fails, `remove_leftovers` does it later."""
    with suppress(OSError):
        _location().remove([dataset_id + AHEAD])


def open_parts(part_ids: Iterable[str]) -> BinaryIO:
    """Open the bytes of several parts as one file."""
    location = _location()
    return location.open_joined(_pieces(location, part_ids))


def join(dataset_id: str, part_ids: Iterable[str]) -> None:
    """Make a dataset of these parts. Their bytes are not copied; removing the dataset removes them."""
    location = _location()
    _put_manifest(location, dataset_id, _pieces(location, part_ids))


def unjoin(dataset_id: str) -> None:
    """Undo a `join`. The parts stay."""
    _location().remove([dataset_id + MANIFEST])


def remove(*ids: str) -> None:
    """Remove the bytes of datasets or parts, and what killed processes left of them. Ids without bytes are ignored."""
    location = _location()
    for id in ids:
        with suppress(FileNotFoundError):
            pieces = [piece.key for piece in _manifest(location, id)]
            owners = {match[1] for key in pieces if (match := _KEY.fullmatch(key))} - {id}
            location.remove([*pieces, *(owner + MANIFEST for owner in sorted(owners))])
        _remove(location, id)


def _remove(location: Location, id: str) -> None:
    """Remove the manifest last: if this is interrupted, it still lists what is left."""
    location.remove([*location.keys_of(id), id + MANIFEST + UNFINISHED])
    location.remove([id + MANIFEST])


def _pieces(location: Location, ids: Iterable[str]) -> list[Piece]:
    found: list[Piece] = []
    for id in ids:
        try:
            found.append(Piece(id, location.size(id)))
        except FileNotFoundError:
            found += _manifest(location, id)
    return found


def _manifest(location: Location, id: str) -> list[Piece]:
    return [Piece(key, size) for key, size in json.loads(location.get(id + MANIFEST))]


def _put_manifest(location: Location, id: str, pieces: list[Piece]) -> None:
    location.put(id + MANIFEST, json.dumps(pieces).encode())


def chunks(file: BinaryIO, size: int = 1 << 18) -> Iterator[bytes]:
    """Yield the rest of the file in chunks of `size` bytes, and close it at the end."""
    with file:
        while chunk := file.read(size):
            yield chunk


def first_key() -> str | None:
    """Return the first thing that is stored; None if nothing is."""
    return next((each.key for each in _location().list_objects() if _KEY.fullmatch(each.key)), None)


def remove_leftovers(known: Callable[[list[str]], set[str]], older_than: timedelta = ABANDONED_AFTER) -> list[str]:
    """Remove what killed processes left: unfinished files, and bytes without a row. Returns the removed keys.

    `known` returns those ids that have a row. The newest object of an id must be older than `older_than`, so that
    nothing of an id is removed while it is still being written.
    """
    location, removed = _location(), list[str]()
    matched = ((match[1], each) for each in location.list_objects() if (match := _KEY.fullmatch(each.key)))
    grouped = ((id, [each for _, each in group]) for id, group in groupby(matched, key=lambda pair: pair[0]))
    before = time.time() - older_than.total_seconds()
    abandoned = (pair for pair in grouped if max(each.changed_at for each in pair[1]) < before)
    while batch := dict(islice(abandoned, LEFTOVER_BATCH_IDS)):
        keys = list(_leftovers(batch, known(list(batch))))
        location.remove(keys)
        removed += keys
    return removed


def _leftovers(stored: dict[str, list[StoredObject]], known: set[str]) -> Iterator[str]:
    for id, objects in stored.items():
        yield from (each.key for each in objects if id not in known or each.key.endswith(UNFINISHED))
