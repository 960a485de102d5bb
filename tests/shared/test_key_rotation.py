"""Rotation of the secret keys: what is resealed, which keys a server misses, and what giving up a key erases."""

import json
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet

from shared.database import transaction
from shared.db.times import utc_now
from shared.key_rotation import reseal, startup_check
from shared.key_rotation.startup_check import KeyLost
from shared.security.secrets import key_id, key_ids, seal
from shared.webhooks.models import DisabledReason, WebhookEndpoint
from tests.worker.support import settings
from tests.world import Person, row

NEW, OLD, LOST = (Fernet.generate_key().decode() for _ in range(3))
SECRET = "whsec_mine"


def keys(*texts: str) -> str:
    return json.dumps(texts)


def sealed_with(text: str) -> Callable[[str], str]:
    def of(context: str) -> str:
        with settings(TUNERY_SECRET_KEYS=keys(text)):
            return seal(SECRET, context)

    return of


def token_of(text: str) -> Callable[[str], str]:
    """A Fernet token, as older versions stored them."""
    return lambda _: Fernet(text).encrypt(SECRET.encode()).decode()


def id_of(text: str) -> str:
    with settings(TUNERY_SECRET_KEYS=keys(text)):
        return key_ids()[0]


def make_endpoint(
    person: Person, secret: Callable[[str], str], old: Callable[[str], str] | None = None, *, deleted: bool = False
) -> str:
    """An endpoint with this sealed secret; with `old`, an old secret that signs for another day."""
    now = utc_now()
    endpoint = WebhookEndpoint(
        project_id=person.project_id,
        name="ci",
        url="http://127.0.0.1:1/",
        updated_at=now,
        sealed_secret="",
        signing_secret_hint="whsec_…mine",
        deleted_at=now if deleted else None,
    )
    endpoint.sealed_secret = secret(endpoint.seal_context)
    endpoint.sealed_old_secret = old(endpoint.seal_context) if old else None
    endpoint.old_secret_expires_at = now.replace(year=now.year + 1) if old else None
    with transaction() as session:
        session.add(endpoint)
        return endpoint.id


SEALED = {
    "the first key": (sealed_with(NEW), (0, 1, 0)),
    "an older key": (sealed_with(OLD), (1, 0, 0)),
    "a key that is not configured": (sealed_with(LOST), (0, 0, 1)),
    "a token of the first key": (token_of(NEW), (1, 0, 0)),
    "a token of an older key": (token_of(OLD), (1, 0, 0)),
    "a token that no key opens": (token_of(LOST), (0, 0, 1)),
    "another context": (lambda _: sealed_with(OLD)("proj_0/we_0"), (0, 0, 1)),
    "no sealed text": (lambda _: "whsec_plain", (0, 0, 1)),
}


@pytest.mark.parametrize(("secret", "counts"), SEALED.values(), ids=SEALED)
def test_a_secret_is_resealed_with_the_first_key_or_reported(
    alice: Person, secret: Callable[[str], str], counts: tuple[int, int, int]
) -> None:
    endpoint_id = make_endpoint(alice, secret)
    before = row(WebhookEndpoint, endpoint_id).sealed_secret
    with settings(TUNERY_SECRET_KEYS=keys(NEW, OLD)):
        result = reseal.reseal_all()
        again = reseal.reseal_all()
    assert (result.resealed, result.unchanged, len(result.unopened)) == counts
    assert result.unopened in ([], [endpoint_id])
    assert (again.resealed, again.unchanged, again.unopened) == (0, counts[0] + counts[1], result.unopened)
    after = row(WebhookEndpoint, endpoint_id).sealed_secret
    assert (after != before) == bool(counts[0])
    if not result.unopened:
        assert key_id(after) == id_of(NEW)


def test_both_secrets_of_an_endpoint_are_resealed_and_a_deleted_endpoint_is_skipped(alice: Person) -> None:
    make_endpoint(alice, sealed_with(OLD), sealed_with(OLD))
    make_endpoint(alice, sealed_with(OLD), deleted=True)
    with settings(TUNERY_SECRET_KEYS=keys(NEW, OLD)):
        assert reseal.reseal_all().resealed == 2


MISSING = {
    "nothing, if the key is configured": (sealed_with(OLD), False, None),
    "nothing, for a token of a configured key": (token_of(OLD), False, None),
    "a lost key": (sealed_with(LOST), False, id_of),
    "a lost key of a deleted endpoint": (sealed_with(LOST), True, None),
    "a token that no key opens": (token_of(LOST), False, lambda _: "fernet"),
}


@pytest.mark.parametrize(("secret", "deleted", "missing"), MISSING.values(), ids=MISSING)
def test_a_server_does_not_start_without_a_key_that_a_secret_needs(
    alice: Person, secret: Callable[[str], str], deleted: bool, missing: Callable[[str], str] | None
) -> None:
    make_endpoint(alice, secret, deleted=deleted)
    with settings(TUNERY_SECRET_KEYS=keys(NEW, OLD)):
        if missing is None:
            startup_check.check_keys()
            return
        with pytest.raises(KeyLost) as error:
            startup_check.check_keys()
    assert f"lacks the key {missing(LOST)} (1 sealed with it)" in str(error.value)


@pytest.mark.parametrize(
    ("secret", "old", "is_changed"),
    [
        (sealed_with(LOST), None, True),
        (sealed_with(NEW), sealed_with(LOST), True),
        (sealed_with(NEW), sealed_with(OLD), False),
        (token_of(LOST), None, False),
    ],
)
def test_giving_up_a_key_erases_only_the_secrets_that_it_seals(
    alice: Person, secret: Callable[[str], str], old: Callable[[str], str] | None, is_changed: bool
) -> None:
    endpoint_id = make_endpoint(alice, secret, old)
    before = row(WebhookEndpoint, endpoint_id)
    with settings(TUNERY_SECRET_KEYS=keys(NEW, OLD)), transaction() as session:
        assert startup_check.forget(session, id_of(LOST)) == ([endpoint_id] if is_changed else [])
    after = row(WebhookEndpoint, endpoint_id)
    is_replaced = after.sealed_secret != before.sealed_secret
    assert is_replaced == (is_changed and old is None)
    assert after.disabled_reason == (DisabledReason.REQUESTED if is_replaced else None)
    assert (after.sealed_old_secret is not None) == (old is not None and not is_changed)


def test_a_configured_key_cannot_be_given_up(alice: Person) -> None:
    with settings(TUNERY_SECRET_KEYS=keys(NEW, OLD)), transaction() as session:
        for text in (NEW, OLD):
            with pytest.raises(KeyLost, match="is not lost"):
                startup_check.forget(session, id_of(text))
