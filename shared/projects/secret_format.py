"""The format of API keys: a prefix that secret scanners find, and a checksum that reveals a typo without a query."""

import hashlib
import re
import secrets
import zlib

PREFIXES = PROJECT_PREFIX, ADMIN_PREFIX = "sk-tun-", "sk-admin-tun-"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_DIGITS, _CHECKSUM_DIGITS = 43, 6  # base 62: 32 random bytes, and the CRC-32 of everything before it
_WITH_CHECKSUM = re.compile(rf"(sk-(?:admin-)?tun-[0-9A-Za-z]{{{_RANDOM_DIGITS}}})([0-9A-Za-z]{{{_CHECKSUM_DIGITS}}})")
_WITHOUT_CHECKSUM = re.compile(r"sk-(?:admin-)?tun-[\w-]{43}", re.ASCII)  # early keys had none


def new_secret(prefix: str) -> str:
    body = prefix + _base62(int.from_bytes(secrets.token_bytes(32)), _RANDOM_DIGITS)
    return body + _checksum(body)


def hint_of(secret: str) -> str:
    """Return what may be shown of a secret: its prefix, the next three characters and the last four."""
    prefix = ADMIN_PREFIX if secret.startswith(ADMIN_PREFIX) else PROJECT_PREFIX
    return f"{secret[: len(prefix) + 3]}…{secret[-4:]}"


def is_well_formed(secret: str) -> bool:
    """Whether the text has the format of a key and, if it has a checksum, the right one."""
    if match := _WITH_CHECKSUM.fullmatch(secret):
        return _checksum(match[1]) == match[2]
    return _WITHOUT_CHECKSUM.fullmatch(secret) is not None


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_DIGITS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
