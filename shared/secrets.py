"""Secrets at rest: sealed with the first of the configured keys, opened with any of them."""

from functools import cache

from cryptography.fernet import Fernet, MultiFernet

from shared.settings import get_settings


@cache
def _box() -> MultiFernet:
    return MultiFernet([Fernet(key.get_secret_value()) for key in get_settings().secret_keys])


def seal(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    return _box().decrypt(sealed.encode()).decode()
