"""Undoes the compression of an answer in small pieces, because a kilobyte can stand for a megabyte."""

import zlib
from collections.abc import Iterator

PIECE_BYTES = 64 << 10
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class CannotDecode(ValueError):
    """The answer is compressed in a way that nobody asked for, or is not what its header says."""


class Decoder:
    """Decodes one answer whose header `content-encoding` is `encoding`. Raises `CannotDecode`."""

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise CannotDecode("it is compressed, although it was asked for without compression")
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if name not in {"", "identity"} else None

    def decode(self, received: bytes) -> Iterator[bytes]:
        """Yield what these bytes stand for, in pieces of up to `PIECE_BYTES`, so that a caller can stop."""
        if self._inflate is None:
            yield received
            return
        left = received
        while left and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(left, PIECE_BYTES)
            except zlib.error:
                raise CannotDecode("it is not compressed as its header says") from None
            left = self._inflate.unconsumed_tail
            if piece:
                yield piece
