"""Where the bytes of datasets lie: a folder, or a bucket, as one setting says. Nothing else knows."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from itertools import groupby, islice
from typing import BinaryIO, NamedTuple

from shared.datasets.storage.chunks import Lying, Piece, Place
from shared.datasets.storage.local import UNFINISHED
from shared.datasets.storage.location import place_at
from shared.settings import get_settings

MANIFEST = ".parts"
ABANDONED_AFTER = timedelta(hours=1)
JUDGED_AT_ONCE = 500
_OURS = re.compile(r"((?:file-|part_)\w+)(?:[./].*)?")


def _place() -> Place:
    return place_at(get_settings().storage)


class Writer:
    """Bytes on their way in, of a dataset or of a part. They can be read only after `finish`, complete and safe."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.bytes = 0
        self._place = _place()
        self._sink = self._place.sink(id)
        self._hash = sha256()

    def write(self, chunk: bytes | bytearray) -> None:
        view = memoryview(chunk)
        self._hash.update(view)
        self.bytes += len(view)
        self._sink.write(view)

    def finish(self) -> str:
        """Keep what was written; its SHA-256 in hexadecimal."""
        pieces = self._sink.finish()
        if pieces != [Piece(self.id, self.bytes)]:
            _put_manifest(self._place, self.id, pieces)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Leave nothing behind, whether or not it was finished; what cannot be removed now, `remove_leftovers` will."""
        self._sink.close()
        with suppress(OSError):
            _remove(self._place, self.id)


class Stored(NamedTuple):
    """Bytes that are complete and safe under an id; their SHA-256 in hexadecimal."""

    id: str
    bytes: int
    sha256: str


def store(id: str, chunks: Iterable[bytes]) -> Stored:
    """Keep what comes, or nothing of it if it does not come to its end."""
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
    place = _place()
    try:
        return place.open(dataset_id)
    except FileNotFoundError:
        return place.open_across(_manifest(place, dataset_id))


def open_parts(part_ids: Iterable[str]) -> BinaryIO:
    """The bytes of parts, one after the other."""
    place = _place()
    return place.open_across(_pieces(place, part_ids))


def join(dataset_id: str, part_ids: Iterable[str]) -> None:
    """Let a dataset consist of these parts from now on: their bytes stay where they are, and go when it goes."""
    place = _place()
    _put_manifest(place, dataset_id, _pieces(place, part_ids))


def unjoin(dataset_id: str) -> None:
    """Undo a `join`; the parts stay."""
    _place().remove([dataset_id + MANIFEST])


def remove(*ids: str) -> None:
    """Remove the bytes of datasets or parts, and what killed attempts to write them left. It may be repeated."""
    place = _place()
    for id in ids:
        with suppress(FileNotFoundError):
            pieces = [piece.key for piece in _manifest(place, id)]
            owners = {match[1] for key in pieces if (match := _OURS.fullmatch(key))} - {id}
            place.remove([*pieces, *(owner + MANIFEST for owner in sorted(owners))])
        _remove(place, id)


def _remove(place: Place, id: str) -> None:
    """The manifest goes last: it knows what is left when this is cut off."""
    place.remove([*place.remains(id), id + MANIFEST + UNFINISHED])
    place.remove([id + MANIFEST])


def _pieces(place: Place, ids: Iterable[str]) -> list[Piece]:
    found: list[Piece] = []
    for id in ids:
        try:
            found.append(Piece(id, place.size(id)))
        except FileNotFoundError:
            found += _manifest(place, id)
    return found


def _manifest(place: Place, id: str) -> list[Piece]:
    return [Piece(key, size) for key, size in json.loads(place.get(id + MANIFEST))]


def _put_manifest(place: Place, id: str, pieces: list[Piece]) -> None:
    place.put(id + MANIFEST, json.dumps(pieces).encode())


def chunks(file: BinaryIO, size: int = 1 << 18) -> Iterator[bytes]:
    """The file from where it stands, piece by piece; it is closed at the end."""
    with file:
        while chunk := file.read(size):
            yield chunk


def remove_leftovers(known: Callable[[list[str]], set[str]], older_than: timedelta = ABANDONED_AFTER) -> list[str]:
    """Remove what a killed process left: what is unfinished, and bytes of which no row knows.

    `known` tells which of some ids have a row. An id is judged by the youngest of all that lies under it, so that
    nothing is taken from one that is still being written.
    """
    place, removed = _place(), list[str]()
    ours = ((match[1], each) for each in place.lying() if (match := _OURS.fullmatch(each.key)))
    grouped = ((id, [each for _, each in group]) for id, group in groupby(ours, key=lambda pair: pair[0]))
    before = time.time() - older_than.total_seconds()
    abandoned = (pair for pair in grouped if max(each.changed_at for each in pair[1]) < before)
    while batch := dict(islice(abandoned, JUDGED_AT_ONCE)):
        keys = list(_leftovers(batch, known(list(batch))))
        place.remove(keys)
        removed += keys
    return removed


def _leftovers(lying: dict[str, list[Lying]], known: set[str]) -> Iterator[str]:
    for id, all_of_it in lying.items():
        yield from (each.key for each in all_of_it if id not in known or each.key.endswith(UNFINISHED))
