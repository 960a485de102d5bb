"""Encrypts secrets for the database: each with its own key, which a configured key wraps, bound to a context.

A sealed text is `v1.KEY ID.WRAPPED KEY.CIPHERTEXT`, both encrypted with AES-256-GCM. The key id names the configured
key: a rotation wraps again without reading the secret, and an error can name a missing key. Older versions stored
Fernet tokens, which are still opened.
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
FERNET = "fernet"
NONCE_BYTES = 12


class CannotUnseal(Exception):
    """No configured key opens the sealed text, or it was sealed for another context, or it was changed."""


class _Key:
    """One of TUNERY_SECRET_KEYS. The wrapping key and the id are derived from it; the id reveals nothing of it."""

    def __init__(self, text: str) -> None:
        self.fernet = Fernet(text)
        secret = urlsafe_b64decode(text)
        self.id = _derive(secret, b"tunery key id", 4).hex()
        self.cipher = AESGCM(_derive(secret, b"tunery wrapping key", 32))


def _derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(secret)


@cache
def _keys(texts: tuple[SecretStr, ...]) -> dict[str, _Key]:
    keys = [_Key(text.get_secret_value()) for text in texts]
    return {key.id: key for key in keys}


def _configured() -> dict[str, _Key]:
    return _keys(get_settings().secret_keys)


def key_ids() -> list[str]:
    """Return the ids of the configured keys; the first one seals."""
    return list(_configured())


def key_id(sealed: str) -> str:
    """Return the id of the key that wraps a sealed text; `fernet` for a Fernet token, which does not name its key."""
    return sealed.split(".")[1] if sealed.startswith(f"{VERSION}.") else FERNET


def seal(secret: str, context: str) -> str:
    """Seal a secret for a context, such as `proj_1/we_1`: copied to another row, it cannot be unsealed."""
    own_key = AESGCM.generate_key(256)
    return _wrap(own_key, _encrypt(AESGCM(own_key), secret.encode(), context), context)


def unseal(sealed: str, context: str) -> str:
    """Raises `CannotUnseal`, with a message that reveals nothing of the secret."""
    if key_id(sealed) == FERNET:
        return _unseal_fernet(sealed)
    own_key, text = _unwrap(sealed, context)
    try:
        return _decrypt(AESGCM(own_key), text, context).decode()
    except (InvalidTag, ValueError):
        raise CannotUnseal(f"the secret sealed for {context} has been changed") from None


def reseal(sealed: str, context: str) -> str:
    """Seal with the first configured key; a text that already is comes back unchanged. Raises `CannotUnseal`."""
    if key_id(sealed) == FERNET:
        return seal(_unseal_fernet(sealed), context)
    own_key, text = _unwrap(sealed, context)
    return sealed if key_id(sealed) == key_ids()[0] else _wrap(own_key, text, context)


def _wrap(own_key: bytes, text: str, context: str) -> str:
    first = next(iter(_configured().values()))
    return f"{VERSION}.{first.id}.{_encrypt(first.cipher, own_key, context)}.{text}"


def _unwrap(sealed: str, context: str) -> tuple[bytes, str]:
    """Return the secret's own key, and the ciphertext."""
    try:
        _, id, wrapped, text = sealed.split(".")
        key = _configured().get(id)
        if key is None:
            raise CannotUnseal(
                f"the secret sealed for {context} needs the key {id}, which is not among TUNERY_SECRET_KEYS"
            )
        return _decrypt(key.cipher, wrapped, context), text
    except (InvalidTag, ValueError):
        raise CannotUnseal(
            f"the secret stored for {context} was sealed for another context, or has been changed"
        ) from None


def _unseal_fernet(sealed: str) -> str:
    for key in _configured().values():
        try:
            return key.fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            continue
    raise CannotUnseal("no key of TUNERY_SECRET_KEYS opens a secret that an older version sealed")


def _encrypt(cipher: AESGCM, secret: bytes, context: str) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return urlsafe_b64encode(nonce + cipher.encrypt(nonce, secret, context.encode())).decode()


def _decrypt(cipher: AESGCM, text: str, context: str) -> bytes:
    raw = urlsafe_b64decode(text)
    return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
