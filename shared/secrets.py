"""Secrets at rest: sealed with the first of the configured keys, opened with any of them."""

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from shared.settings import get_settings


class NoKeyFits(Exception):
    """Something sealed that none of the configured keys opens."""


@cache
def _boxes(keys: tuple[SecretStr, ...]) -> list[Fernet]:
    return [Fernet(key.get_secret_value()) for key in keys]


def _box() -> MultiFernet:
    return MultiFernet(_boxes(get_settings().secret_keys))


def seal(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    return _box().decrypt(sealed.encode()).decode()


def reseal(sealed: str) -> str:
    """The same secret under the first key; what is so already is given back as it is. Raises `NoKeyFits`."""
    try:
        _boxes(get_settings().secret_keys)[0].decrypt(sealed.encode())
    except InvalidToken:
        try:
            return _box().rotate(sealed.encode()).decode()
        except InvalidToken:
            raise NoKeyFits from None
    return sealed
