"""What an API key looks like: scanners find it by its form, and a typing error is told apart without a query."""

import hashlib
import re
import secrets
import zlib

PREFIXES = PROJECT_PREFIX, ADMIN_PREFIX = "sk-tun-", "sk-admin-tun-"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECKSUM = 43, 6  # base 62: 32 bytes, and a CRC-32 of all that stands before it
_WHOLE = re.compile(rf"(sk-(?:admin-)?tun-[0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECKSUM}}})")
_OLDER = re.compile(r"sk-(?:admin-)?tun-[\w-]{43}", re.ASCII)  # of the first weeks, without a checksum


def new_secret(prefix: str) -> str:
    body = prefix + _base62(int.from_bytes(secrets.token_bytes(32)), _RANDOM)
    return body + _checksum(body)


def hint_of(secret: str) -> str:
    """As much as may be shown again: the prefix, the first three letters and the last four."""
    prefix = ADMIN_PREFIX if secret.startswith(ADMIN_PREFIX) else PROJECT_PREFIX
    return f"{secret[: len(prefix) + 3]}…{secret[-4:]}"


def is_whole(secret: str) -> bool:
    """Whether this can be a key at all: none of its letters is wrong or missing, as far as can be seen."""
    if whole := _WHOLE.fullmatch(secret):
        return _checksum(whole[1]) == whole[2]
    return _OLDER.fullmatch(secret) is not None


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
