"""Stores bytes in a bucket of any S3-compatible service. Endpoint, region and keys come from AWS_* variables."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shared.datasets.storage.chunks import Piece, Source, StoredObject, join_pieces

PIECE_BYTES = 8 << 20  # the memory that each open write holds
FILE_PART_BYTES = 32 << 20  # S3 takes 10,000 parts of a file: 320 GB
READ_AHEAD_BYTES = (4 << 20) + (1 << 16)  # one request gets a whole range of a check, with the end of its last line


class Bucket:
    """Stores a file of at most one piece as one object, a larger one as several objects below its id.

    S3's own multipart uploads are not used. After a killed process an unfinished one would stay, cost money, and appear
    in no listing; pieces are listed, so `store.remove_leftovers` removes them.
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
        return join_pieces(self._read_into, Source(self._url, list(pieces)), READ_AHEAD_BYTES)

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

    def put_file(self, key: str, path: Path) -> None:
        """Store a file of any size, in parts of S3's own if it is large. Killed, it may leave an unfinished upload."""
        with _os_errors():
            obstore.put(self._store, key, path, chunk_size=FILE_PART_BYTES)

    def remove(self, keys: Iterable[str]) -> None:
        with _os_errors():
            if listed := list(keys):
                obstore.delete(self._store, listed)

    def keys_of(self, id: str) -> Iterable[str]:
        with _os_errors():
            return id, *(each["path"] for page in obstore.list(self._store, prefix=id) for each in page)

    def list_objects(self) -> Iterator[StoredObject]:
        with _os_errors():
            for page in obstore.list(self._store):
                yield from (StoredObject(each["path"], each["last_modified"].timestamp()) for each in page)


class PieceSink:
    """Collects one piece at a time in memory, and stores each as a separate object."""

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
    """Turn obstore's errors into `OSError` with the first line of their message; the rest is Rust's debug output."""
    try:
        yield
    except BaseError as error:
        raise OSError(f"the bucket: {str(error).splitlines()[0]}") from error
