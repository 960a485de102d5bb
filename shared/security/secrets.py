"""Secrets at rest: an envelope for each, under the first of the configured keys, that opens in its own place only.

A sealed text is `v1.KEY ID.WRAPPED KEY.CIPHERTEXT`: AES-256-GCM under a key of its own, which a configured one wraps.
The key id says which one, so that a rotation wraps anew and reads nothing, and a missing key can be named. What older
versions sealed is a Fernet token, and is opened too.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from shared.settings import get_settings

VERSION = "v1"
OLD = "fernet"
_NONCE = 12


class NoKeyFits(Exception):
    """Something sealed that none of the configured keys opens, or that stands where it was not sealed for."""


class _Key:
    """One of TUNERY_SECRET_KEYS. Keys for each use are derived from it; its id tells nothing of it."""

    def __init__(self, text: str) -> None:
        self.fernet = Fernet(text)
        secret = urlsafe_b64decode(text)
        self.id = _derived(secret, b"tunery key id", 4).hex()
        self.box = AESGCM(_derived(secret, b"tunery wrapping key", 32))


def _derived(secret: bytes, use: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=use).derive(secret)


@cache
def _keys(texts: tuple[SecretStr, ...]) -> dict[str, _Key]:
    keys = [_Key(text.get_secret_value()) for text in texts]
    return {key.id: key for key in keys}


def _configured() -> dict[str, _Key]:
    return _keys(get_settings().secret_keys)


def key_ids() -> list[str]:
    """Of the configured keys, the one that seals first."""
    return list(_configured())


def key_id(sealed: str) -> str:
    """Of the key under which this is sealed; `fernet` for what an older version sealed, which does not say it."""
    return sealed.split(".")[1] if sealed.startswith(f"{VERSION}.") else OLD


def seal(secret: str, place: str) -> str:
    """`place` names the row and what it is there, as `proj_1/we_1`: in another one it does not open."""
    own = AESGCM.generate_key(256)
    return _envelope(own, _encrypted(AESGCM(own), secret.encode(), place), place)


def unseal(sealed: str, place: str) -> str:
    """Raises `NoKeyFits`, in words that tell nothing of the secret."""
    if key_id(sealed) == OLD:
        return _unseal_old(sealed)
    own, text = _opened(sealed, place)
    try:
        return _decrypted(AESGCM(own), text, place).decode()
    except (InvalidTag, ValueError):
        raise NoKeyFits(f"what is sealed for {place} has been changed") from None


def reseal(sealed: str, place: str) -> str:
    """The same secret under the first key; what is so already is given back as it is. Raises `NoKeyFits`."""
    if key_id(sealed) == OLD:
        return seal(_unseal_old(sealed), place)
    own, text = _opened(sealed, place)
    return sealed if key_id(sealed) == key_ids()[0] else _envelope(own, text, place)


def _envelope(own: bytes, text: str, place: str) -> str:
    first = next(iter(_configured().values()))
    return f"{VERSION}.{first.id}.{_encrypted(first.box, own, place)}.{text}"


def _opened(sealed: str, place: str) -> tuple[bytes, str]:
    """The key of its own, and what it encrypts."""
    try:
        _, id, wrapped, text = sealed.split(".")
        key = _configured().get(id)
        if key is None:
            raise NoKeyFits(f"what is sealed for {place} needs the key {id}, which is not among TUNERY_SECRET_KEYS")
        return _decrypted(key.box, wrapped, place), text
    except (InvalidTag, ValueError):
        raise NoKeyFits(f"what stands at {place} was sealed for another place, or has been changed") from None


def _unseal_old(sealed: str) -> str:
    for key in _configured().values():
        try:
            return key.fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            continue
    raise NoKeyFits("no key of TUNERY_SECRET_KEYS opens what an older version has sealed")


def _encrypted(box: AESGCM, secret: bytes, place: str) -> str:
    nonce = os.urandom(_NONCE)
    return urlsafe_b64encode(nonce + box.encrypt(nonce, secret, place.encode())).decode()


def _decrypted(box: AESGCM, text: str, place: str) -> bytes:
    found = urlsafe_b64decode(text)
    return box.decrypt(found[:_NONCE], found[_NONCE:], place.encode())
