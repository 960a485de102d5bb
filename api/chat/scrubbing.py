"""Keeps the account's key out of what the api passes on: a provider, or a proxy before it, may repeat a header."""

import json
from urllib.parse import quote

REPLACEMENT = b"\xe2\x80\xa6"  # an ellipsis


def spellings(secret: str) -> tuple[bytes, ...]:
    """The secret as it is, in JSON, and percent-encoded; the longest first."""
    in_json = json.dumps(secret)[1:-1]
    found = {secret, in_json, in_json.replace("/", "\\/"), quote(secret, safe=""), quote(secret)}
    return tuple(sorted((each.encode() for each in found if each), key=len, reverse=True))


class Scrubber:
    """Replaces a secret in bytes that come in pieces, also where it lies across two of them."""

    def __init__(self, secret: str) -> None:
        self._secrets = spellings(secret)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what can be passed on. Only an end that may be the beginning of the secret is held back."""
        found = self._clean(self._held + piece)
        held = max((_overlap(found, secret) for secret in self._secrets), default=0)
        self._held = found[len(found) - held :]
        return found[: len(found) - held]

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def whole(self, text: str) -> str:
        return self._clean(text.encode("latin-1", "replace")).decode("latin-1")

    def _clean(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, REPLACEMENT)
        return data


def _overlap(data: bytes, secret: bytes) -> int:
    """The length of the longest end of `data` with which `secret` begins."""
    for length in range(min(len(data), len(secret) - 1), 0, -1):
        if secret.startswith(data[-length:]):
            return length
    return 0
