"""Secrets at rest: sealed with the first key, and opened only with a configured key and for the same context."""

import json

import pytest
from cryptography.fernet import Fernet

from shared.security.secrets import CannotUnseal, key_id, key_ids, reseal, seal, unseal
from shared.settings import get_settings
from tests.worker.support import settings

CONTEXT, ELSEWHERE = "proj_1/we_1", "proj_2/we_1"
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def keys(*keys: str) -> str:
    return json.dumps(keys)


def sealed_with(*with_keys: str) -> str:
    with settings(TUNERY_SECRET_KEYS=keys(*with_keys)):
        return seal("whsec_mine", CONTEXT)


def opened(sealed: str, *with_keys: str) -> str:
    with settings(TUNERY_SECRET_KEYS=keys(*with_keys)):
        return unseal(sealed, CONTEXT)


def test_a_sealed_secret_is_unsealed_unchanged(server: str) -> None:
    assert unseal(seal("whsec_ü\0", CONTEXT), CONTEXT) == "whsec_ü\0"


def test_a_sealed_secret_cannot_be_read_or_compared(server: str) -> None:
    first, second = seal("whsec_mine", CONTEXT), seal("whsec_mine", CONTEXT)
    assert "whsec" not in first
    assert set(first.split(".")[2:]).isdisjoint(second.split(".")[2:])


def test_a_secret_sealed_for_one_context_does_not_open_in_another(server: str) -> None:
    sealed = seal("whsec_mine", CONTEXT)
    for attempt in (unseal, reseal):
        with pytest.raises(CannotUnseal, match="sealed for another context"):
            attempt(sealed, ELSEWHERE)


@pytest.mark.parametrize("part", [2, 3])
def test_a_changed_secret_does_not_open(server: str, part: int) -> None:
    ours, others = (seal(secret, CONTEXT).split(".") for secret in ("whsec_mine", "whsec_other"))
    with pytest.raises(CannotUnseal, match="has been changed"):
        unseal(".".join([*ours[:part], others[part], *ours[part + 1 :]]), CONTEXT)


@pytest.mark.parametrize("odd", ["", "v1.", "v1.a.b", "v1.{id}.ü.ü", "v1.{id}..", "gAAAA"])
def test_text_that_was_never_sealed_does_not_open(server: str, odd: str) -> None:
    with pytest.raises(CannotUnseal):
        unseal(odd.replace("{id}", key_ids()[0]), CONTEXT)


def test_after_a_rotation_of_keys_old_secrets_still_open(server: str) -> None:
    old = sealed_with(OLD)
    assert opened(old, NEW, OLD) == "whsec_mine"
    assert opened(sealed_with(NEW, OLD), NEW) == "whsec_mine"
    with pytest.raises(CannotUnseal, match=f"needs the key {key_id(old)}, which is not among TUNERY_SECRET_KEYS"):
        opened(old, NEW)


def test_resealing_changes_the_key_id_and_keeps_the_ciphertext(server: str) -> None:
    old = sealed_with(OLD)
    with settings(TUNERY_SECRET_KEYS=keys(NEW, OLD)):
        new = reseal(old, CONTEXT)
        assert reseal(new, CONTEXT) == new
        assert key_id(new) == key_ids()[0] != key_id(old)
    assert new.split(".")[3] == old.split(".")[3]
    assert opened(new, NEW) == "whsec_mine"


def test_a_fernet_token_still_opens_and_is_bound_to_its_context_when_resealed(server: str) -> None:
    token = Fernet(get_settings().secret_keys[0].get_secret_value()).encrypt(b"whsec_mine").decode()
    assert unseal(token, CONTEXT) == "whsec_mine"
    new = reseal(token, CONTEXT)
    assert (unseal(new, CONTEXT), key_id(new)) == ("whsec_mine", key_ids()[0])
    with pytest.raises(CannotUnseal):
        reseal(Fernet(OLD).encrypt(b"whsec_mine").decode(), CONTEXT)
