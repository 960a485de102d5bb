"""Secrets at rest: sealed with the first key, opened with any, and with none but these."""

import json

from cryptography.fernet import Fernet

from shared.secrets import seal, unseal
from tests.shared.process import python

SEAL = "from shared.secrets import seal; print(seal('whsec_mine'))"
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def keys(*keys: str) -> str:
    return json.dumps(keys)


def opened(sealed: str, *with_keys: str) -> tuple[str, str]:
    code = f"from shared.secrets import unseal; print(unseal({sealed!r}))"
    process = python(code, TUNERY_SECRET_KEYS=keys(*with_keys))
    return process.stdout.strip(), process.stderr


def test_what_was_sealed_comes_back(server: str) -> None:
    assert unseal(seal("whsec_ü\0")) == "whsec_ü\0"


def test_what_is_sealed_cannot_be_read_nor_compared(server: str) -> None:
    first, second = seal("whsec_mine"), seal("whsec_mine")
    assert "whsec" not in first
    assert first != second


def test_keys_rotate_without_losing_what_was_sealed() -> None:
    with_old = python(SEAL, TUNERY_SECRET_KEYS=keys(OLD)).stdout.strip()
    assert opened(with_old, NEW, OLD)[0] == "whsec_mine"
    with_new = python(SEAL, TUNERY_SECRET_KEYS=keys(NEW, OLD)).stdout.strip()
    assert opened(with_new, NEW)[0] == "whsec_mine"
    result, complaint = opened(with_old, NEW)
    assert (result, "InvalidToken" in complaint) == ("", True)
