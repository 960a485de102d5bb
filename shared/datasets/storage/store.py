"""Stores the bytes of datasets and parts in a folder or a bucket, as one setting says; no other module knows which."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from itertools import groupby, islice
from typing import BinaryIO, NamedTuple

from shared.datasets.storage.chunks import Location, Piece, StoredObject
from shared.datasets.storage.local import UNFINISHED
from shared.datasets.storage.location import location_at
from shared.settings import get_settings

MANIFEST = ".parts"
ABANDONED_AFTER = timedelta(hours=1)
LEFTOVER_BATCH_IDS = 500
_OURS = re.compile(r"((?:file-|part_)\w+)(?:[./].*)?")


def _location() -> Location:
    return location_at(get_settings().storage)


class Writer:
    """Writes the bytes of a dataset or of a part. They can be read only after `finish`, when they are safely stored."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.bytes = 0
        self._location = _location()
        self._sink = self._location.sink(id)
        self._hash = sha256()

    def write(self, chunk: bytes | bytearray) -> None:
        view = memoryview(chunk)
        self._hash.update(view)
        self.bytes += len(view)
        self._sink.write(view)

    def finish(self) -> str:
        """Store what was written, and return its SHA-256 in hexadecimal."""
        pieces = self._sink.finish()
        if pieces != [Piece(self.id, self.bytes)]:
            _put_manifest(self._location, self.id, pieces)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Remove what was written, finished or not. `remove_leftovers` removes later what cannot be removed now."""
        self._sink.close()
        with suppress(OSError):
            _remove(self._location, self.id)


class Stored(NamedTuple):
    """Bytes that are complete and safe under an id; their SHA-256 in hexadecimal."""

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
    """The bytes, to `read`, `readline` and `seek`. In a folder, and not sent in parts, it is a file with a path."""
    location = _location()
    try:
        return location.open(dataset_id)
    except FileNotFoundError:
        return location.open_joined(_manifest(location, dataset_id))


def open_parts(part_ids: Iterable[str]) -> BinaryIO:
    """The bytes of parts, one after the other."""
    location = _location()
    return location.open_joined(_pieces(location, part_ids))


def join(dataset_id: str, part_ids: Iterable[str]) -> None:
    """Make a dataset of these parts. Their bytes are not copied, and are removed with the dataset."""
    location = _location()
    _put_manifest(location, dataset_id, _pieces(location, part_ids))


def unjoin(dataset_id: str) -> None:
    """Undo a `join`; the parts stay."""
    _location().remove([dataset_id + MANIFEST])


def remove(*ids: str) -> None:
    """Remove the bytes of datasets or parts, and what killed attempts to write them left. It may be repeated."""
    location = _location()
    for id in ids:
        with suppress(FileNotFoundError):
            pieces = [piece.key for piece in _manifest(location, id)]
            owners = {match[1] for key in pieces if (match := _OURS.fullmatch(key))} - {id}
            location.remove([*pieces, *(owner + MANIFEST for owner in sorted(owners))])
        _remove(location, id)


def _remove(location: Location, id: str) -> None:
    """Remove the manifest last: if this is interrupted, it still lists what is left."""
    location.remove([*location.remains(id), id + MANIFEST + UNFINISHED])
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
    """The file from where it stands, piece by piece; it is closed at the end."""
    with file:
        while chunk := file.read(size):
            yield chunk


def remove_leftovers(known: Callable[[list[str]], set[str]], older_than: timedelta = ABANDONED_AFTER) -> list[str]:
    """Remove what killed processes left: unfinished files, and bytes without a row. Returns the removed keys.

    `known` returns which of some ids have a row. An id counts as abandoned by the newest of its objects, so that
    nothing is removed from one that is still being written.
    """
    location, removed = _location(), list[str]()
    ours = ((match[1], each) for each in location.list_objects() if (match := _OURS.fullmatch(each.key)))
    grouped = ((id, [each for _, each in group]) for id, group in groupby(ours, key=lambda pair: pair[0]))
    before = time.time() - older_than.total_seconds()
    abandoned = (pair for pair in grouped if max(each.changed_at for each in pair[1]) < before)
    while batch := dict(islice(abandoned, LEFTOVER_BATCH_IDS)):
        keys = list(_leftovers(batch, known(list(batch))))
        location.remove(keys)
        removed += keys
    return removed


def _leftovers(lying: dict[str, list[StoredObject]], known: set[str]) -> Iterator[str]:
    for id, all_of_it in lying.items():
        yield from (each.key for each in all_of_it if id not in known or each.key.endswith(UNFINISHED))
