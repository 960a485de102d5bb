"""Bytes in a bucket of any service that speaks S3, through obstore; endpoint, region and keys are AWS_* variables."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shared.datasets.storage.chunks import Piece, Source, StoredObject, join_pieces

PIECE_BYTES = 8 << 20
READ_AHEAD = (4 << 20) + (1 << 16)  # a range of a check and the end of its last line, in one request


class Bucket:
    """A file larger than a piece is stored as several objects below its id.

    S3's own multipart uploads are not used: an unfinished one is in no listing, so it would stay and cost money for
    ever after a killed process. Pieces are listed, and removed if no row knows them.
    """

    def __init__(self, url: str) -> None:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        self._url = url
        self._store = S3Store.from_url(
            url,
            client_options={"connect_timeout": "3s", "timeout": "60s", "allow_http": endpoint.startswith("http://")},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(minutes=1)},
        )

    def sink(self, id: str) -> "PieceSink":
        return PieceSink(self, id)

    def open(self, key: str) -> BinaryIO:
        return self.open_joined([Piece(key, self.size(key))])

    def open_joined(self, pieces: Sequence[Piece]) -> BinaryIO:
        return join_pieces(self._read_into, Source(self._url, list(pieces)), READ_AHEAD)

    def _read_into(self, key: str, offset: int, buffer: memoryview) -> int:
        with _os_errors():
            received = obstore.get_range(self._store, key, start=offset, length=len(buffer))
        buffer[: len(received)] = received
        return len(received)

    def size(self, key: str) -> int:
        with _os_errors():
            return obstore.head(self._store, key)["size"]

    def get(self, key: str) -> bytes:
        with _os_errors():
            return obstore.get(self._store, key).bytes().to_bytes()

    def put(self, key: str, content: bytes | memoryview) -> None:
        with _os_errors():
            obstore.put(self._store, key, content, use_multipart=False)

    def remove(self, keys: Iterable[str]) -> None:
        with _os_errors():
            if listed := list(keys):
                obstore.delete(self._store, listed)

    def remains(self, id: str) -> Iterable[str]:
        with _os_errors():
            return id, *(each["path"] for page in obstore.list(self._store, prefix=id) for each in page)

    def list_objects(self) -> Iterator[StoredObject]:
        with _os_errors():
            for page in obstore.list(self._store):
                yield from (StoredObject(each["path"], each["last_modified"].timestamp()) for each in page)


class PieceSink:
    """Collects one piece at a time in memory, and stores each as an object of its own."""

    def __init__(self, bucket: Bucket, id: str) -> None:
        self._bucket = bucket
        self._id = id
        self._buffer = memoryview(bytearray(PIECE_BYTES))  # reused: allocating one for each piece would fragment memory
        self._filled = 0
        self._pieces: list[Piece] = []

    def write(self, chunk: memoryview) -> None:
        while chunk:
            if self._filled == PIECE_BYTES:
                self._put_next()
            taken = min(len(chunk), PIECE_BYTES - self._filled)
            self._buffer[self._filled : self._filled + taken] = chunk[:taken]
            self._filled += taken
            chunk = chunk[taken:]

    def finish(self) -> list[Piece]:
        if self._pieces:
            self._put_next()
        else:
            self._put(self._id)
        return self._pieces

    def _put_next(self) -> None:
        self._put(f"{self._id}/{len(self._pieces):05}")

    def _put(self, key: str) -> None:
        self._bucket.put(key, self._buffer[: self._filled])
        self._pieces.append(Piece(key, self._filled))
        self._filled = 0

    def close(self) -> None:
        self._filled = 0


@contextmanager
def _os_errors() -> Iterator[None]:
    """Turn obstore's errors into `OSError` with the first line of the message; the others are Rust's debug output."""
    try:
        yield
    except BaseError as error:
        raise OSError(f"the bucket: {str(error).splitlines()[0]}") from error
