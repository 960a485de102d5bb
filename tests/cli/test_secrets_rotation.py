"""`tunery secrets rotate`: what an old key sealed is moved to the new one, so that the old one can go."""

import json
from contextlib import nullcontext
from typing import Any

import pytest
from cryptography.fernet import Fernet
from standardwebhooks import Webhook

from api.main import create_app
from api.webhooks.samples import sample
from shared.database import transaction
from shared.jobs.provider_webhooks import webhook_secret
from shared.key_rotation.reseal import BATCH_ROWS
from shared.key_rotation.startup_check import KeyLost, check_keys
from shared.projects import credentials
from shared.projects.credential_schemas import CredentialCreate
from shared.projects.credentials import Account
from shared.projects.models import Credential
from shared.security.secrets import key_ids, seal
from shared.settings import get_settings
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from shared.webhooks.schemas import WebhookEndpointCreate
from tests.api.test_webhook_endpoints import create
from tests.cli.terminal import Tunery
from tests.servers import Receiver
from tests.worker.support import change, ids, settings
from tests.world import Person, row, step
from worker.providers.errors import ProviderError
from worker.providers.registry import get_provider

ASKED: dict[str, Any] = {"json": {"event_type": "dataset.failed"}, "headers": {"Idempotency-Key": "k"}}
OTHER = WebhookEndpointCreate(name="other", url="https://example.com/", event_types=[EventType.DATASET_FAILED])


def test_after_it_the_old_key_can_be_removed_and_what_cannot_be_opened_is_named(
    alice: Person, bob: Person, tunery: Tunery, receiver: Receiver
) -> None:
    [old] = [key.get_secret_value() for key in get_settings().secret_keys]
    new, foreign = (Fernet.generate_key().decode() for _ in range(2))
    first = create(alice, url=receiver.url)
    with transaction() as session:
        webhooks.write_event(session, alice.project_id, EventType.JOB_SUCCEEDED, sample(EventType.JOB_SUCCEEDED))
    second = alice.openai.webhooks.rotate_secret(first.id, keep_old_secret_active_for_24_hours=True)
    done, lost = create(alice).id, create(alice).id
    answer = alice.http.post("/webhook_events", **ASKED)
    with transaction() as session:
        for _ in range(BATCH_ROWS):
            webhooks.create_endpoint(session, bob.project_id, OTHER)
    for endpoint_id, key in ((done, new), (lost, foreign)):
        with settings(TUNERY_SECRET_KEYS=json.dumps([key])):
            sealed = seal("whsec_any", row(WebhookEndpoint, endpoint_id).seal_context)
        change(WebhookEndpoint, endpoint_id, sealed_secret=sealed)

    with settings(TUNERY_SECRET_KEYS=json.dumps([new, old])):
        said = tunery("secrets", "rotate")
    assert said.code == 1
    assert said.out == f"Sealed again with the first key: {2 + BATCH_ROWS}. Sealed with it already: 1.\n"
    assert said.err.startswith(f"{lost}: no key of TUNERY_SECRET_KEYS opens")
    assert said.err.count("we_") == 1

    [delivery_id] = ids(WebhookDelivery)
    with settings(TUNERY_SECRET_KEYS=json.dumps([new])):
        step(WebhookDelivery, delivery_id)
        assert alice.http.post("/webhook_events", **ASKED).content == answer.content
    [(headers, body)] = receiver.received
    for secret in (first.signing_secret, second.signing_secret):
        assert Webhook(secret).verify(body, headers)


def test_a_credentials_key_is_moved_too_and_its_client_is_kept(alice: Person, tunery: Tunery) -> None:
    [old] = [key.get_secret_value() for key in get_settings().secret_keys]
    new = Fernet.generate_key().decode()
    made = own_credential(alice)
    with settings(TUNERY_SECRET_KEYS=json.dumps([new, old])):
        client = get_provider(row(Credential, made))
        assert tunery("secrets", "rotate").out.startswith("Sealed again with the first key: 2. ")
        assert get_provider(row(Credential, made)) is client
    with settings(TUNERY_SECRET_KEYS=json.dumps([new])):
        assert Account.of(row(Credential, made)).api_key() == "sk-hers"
        assert webhook_secret(row(Credential, made)) == "whsec_hers"


def own_credential(person: Person) -> str:
    new = {"name": "own", "base_url": "https://api.openai.com/v1", "api_key": "sk-hers", "webhook_secret": "whsec_hers"}
    with transaction() as session:
        return credentials.create(session, person.project_id, CredentialCreate.model_validate(new)).id


def test_nothing_starts_without_a_key_that_is_needed_and_it_can_be_given_up(alice: Person, tunery: Tunery) -> None:
    made, endpoint = own_credential(alice), create(alice).id
    gone = create(alice).id
    alice.openai.webhooks.delete(gone)
    [lost] = key_ids()
    with settings(TUNERY_SECRET_KEYS=json.dumps([Fernet.generate_key().decode()])):
        refused = tunery("migrate")
        assert f"lacks the key {lost} (3 sealed with it)" in str(refused.code)
        with pytest.raises(SystemExit):
            create_app()
        assert tunery("secrets", "forget", key_ids()[0]).code != 0
        assert set(tunery("secrets", "forget", lost).out.split()) == {made, endpoint}
        check_keys()
        assert tunery("migrate").code == 0
        assert alice.http.get(f"/webhook_endpoints/{endpoint}").json()["disabled_reason"] == "requested"
        with pytest.raises(ProviderError, match="no longer has a key") as refusal:
            get_provider(row(Credential, made))
        assert refusal.value.code == "credential_unreadable"


def test_a_key_that_sealed_for_an_older_version_is_missed_too(alice: Person) -> None:
    made = own_credential(alice)
    for key, is_missed in ((get_settings().secret_keys[0].get_secret_value(), False), (Fernet.generate_key(), True)):
        change(Credential, made, sealed_api_key=Fernet(key).encrypt(b"sk-old").decode())
        with pytest.raises(KeyLost, match="lacks the key fernet") if is_missed else nullcontext():
            check_keys()
