"""/v1/webhook_endpoints: create, list, retrieve, update, delete."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.webhooks import WebhookEndpointWithSecret

from shared.webhooks import schemas as shared_schemas
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEndpoint
from tests.servers import Receiver
from tests.worker.support import change as change_row
from tests.worker.support import write_event
from tests.world import Person, row, work

URL = "https://example.com/hook"


def create(person: Person, **values: Any) -> WebhookEndpointWithSecret:
    return person.openai.webhooks.create(
        **{"name": "ours", "url": URL, "event_types": ["fine_tuning.job.succeeded"], **values}
    )


def made_long_ago(person: Person, **values: Any) -> WebhookEndpointWithSecret:
    made = create(person, **values)
    hour_ago = row(WebhookEndpoint, made.id).updated_at - timedelta(hours=1)
    change_row(WebhookEndpoint, made.id, updated_at=hour_ago)
    return made


def test_the_secret_is_shown_once_and_can_be_used_by_every_library(alice: Person) -> None:
    made = create(alice)
    assert made.id.startswith("we_")
    assert made.signing_secret.startswith("whsec_")
    assert len(base64.b64decode(made.signing_secret.removeprefix("whsec_"), validate=True)) == 32
    found = alice.http.get(f"/webhook_endpoints/{made.id}").json()
    assert "signing_secret" not in found
    assert made.signing_secret not in str(found)
    assert found["signing_secret_hint"].endswith(made.signing_secret[-5:])


def test_the_secret_is_sealed_in_the_database(alice: Person) -> None:
    made = create(alice)
    assert made.signing_secret not in str(row(WebhookEndpoint, made.id).model_dump())


def test_an_endpoint_is_found_as_it_was_made(alice: Person) -> None:
    made = create(alice, event_types=["fine_tuning.job.succeeded", "fine_tuning.job.failed"])
    found = alice.openai.webhooks.retrieve(made.id)
    assert (found.object, found.name, found.url) == ("webhook_endpoint", "ours", URL)
    assert set(found.event_types) == {"fine_tuning.job.succeeded", "fine_tuning.job.failed"}
    assert found.created_at == found.updated_at == made.updated_at


def test_its_secret_is_shown_by_no_other_call_and_in_no_text(alice: Person, receiver: Receiver) -> None:
    made = create(alice, url=receiver.url, event_types=[EventType.JOB_CANCELLED])
    write_event(alice)
    work()
    path = f"/webhook_endpoints/{made.id}"
    texts = [
        alice.http.get(each).raise_for_status().text for each in ("/webhook_endpoints", path, f"{path}/deliveries")
    ]
    texts.append(alice.http.post(path, json={"name": "other"}).raise_for_status().text)
    texts += [
        repr(made),
        repr(shared_schemas.WebhookEndpointWithSecret.with_secret(row(WebhookEndpoint, made.id), "whsec_x")),
    ]
    for secret in (made.signing_secret, "whsec_x"):
        assert [text for text in texts if secret in text] == []


def test_every_type_can_be_asked_for_and_is_kept_once(alice: Person) -> None:
    types = alice.openai.webhooks.event_types.list().data
    assert set(types) == set(EventType)
    assert create(alice, event_types=[*types, *types]).event_types == sorted(types)


def test_endpoints_are_listed_newest_first_page_by_page(alice: Person) -> None:
    ids = [create(alice).id for _ in range(5)]
    assert [endpoint.id for endpoint in alice.openai.webhooks.list(limit=2)] == ids[::-1]


def test_a_deleted_endpoint_is_gone(alice: Person) -> None:
    made = create(alice)
    deleted = alice.openai.webhooks.delete(made.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "webhook_endpoint.deleted", True)
    assert alice.openai.webhooks.list().data == []
    for again in (alice.openai.webhooks.retrieve, alice.openai.webhooks.delete):
        with pytest.raises(NotFoundError):
            again(made.id)


def test_a_deleted_endpoint_is_told_of_nothing(alice: Person, receiver: Receiver) -> None:
    made = create(alice, url=receiver.url, event_types=[EventType.JOB_CANCELLED])
    write_event(alice)
    alice.openai.webhooks.delete(made.id)
    write_event(alice)
    work()
    assert receiver.received == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "n" * 257}, "name"),
    ({"name": None}, "name"),
    ({"url": ""}, "url"),
    ({"url": "example.com/hook"}, "url"),
    ({"url": "ftp://example.com/hook"}, "url"),
    ({"url": "https://"}, "url"),
    ({"url": "https://user:password@example.com/"}, "url"),
    ({"url": "https://user@example.com/"}, "url"),
    ({"url": "https://10.0.0.1/"}, "url"),
    ({"url": "http://93.184.216.34/"}, "url"),
    ({"url": "https://[fd00::1]/"}, "url"),
    ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
    ({"url": "https://example.com:99999/"}, "url"),
    ({"url": "https://bücher.example/"}, "url"),
    ({"url": "https://example.com/a b"}, "url"),
    ({"url": "https://example.com/\r\nx: 1"}, "url"),
    ({"url": "https://example.com/" + "a" * 2048}, "url"),
    ({"event_types": []}, "event_types"),
    ({"event_types": ["batch.completed"]}, "event_types.0"),
    ({"event_types": ["fine_tuning.job.succeeded", "x"]}, "event_types.1"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("values", "param"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_parameter_is_named_and_makes_no_endpoint(alice: Person, values: dict[str, Any], param: str) -> None:
    body = {"name": "ours", "url": URL, "event_types": ["fine_tuning.job.succeeded"], **values}
    answer = alice.http.post("/webhook_endpoints", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert "password" not in answer.json()["error"]["message"] or "must not contain" in answer.text
    assert alice.openai.webhooks.list().data == []


WRONG_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"url": "https://user:password@example.com/"}, "url"),
    ({"url": "https://10.0.0.1/"}, "url"),
    ({"event_types": []}, "event_types"),
    ({"event_types": ["fine_tuning.job.succeeded", "batch.completed"]}, "event_types.1"),
    ({"enabled": "perhaps"}, "enabled"),
    ({"signing_secret": "whsec_mine"}, "signing_secret"),
]
CHANGES: list[dict[str, Any]] = [
    {"name": "theirs"},
    {"url": "https://example.org/other"},
    {"event_types": ["fine_tuning.job.failed", "fine_tuning.job.running"]},
    {"full_payloads": True},
    {"enabled": False},
    {"name": "theirs", "enabled": False},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_is_named_is_changed_and_nothing_else(alice: Person, change: dict[str, Any]) -> None:
    made = made_long_ago(alice)
    before = alice.http.get(f"/webhook_endpoints/{made.id}").json()
    changed = alice.openai.webhooks.update(made.id, extra_body=change)
    after = alice.http.get(f"/webhook_endpoints/{made.id}").json()
    assert {name: after[name] for name in change} == change
    differ = {name for name in before if before[name] != after[name]}
    follow = {"disabled_at", "disabled_reason", "missed_since"} if "enabled" in change else set()
    assert differ == {*change, "updated_at"} | follow
    assert changed.updated_at == after["updated_at"]
    assert after["updated_at"] > before["updated_at"]


def test_an_update_that_changes_nothing_leaves_its_time(alice: Person) -> None:
    made = made_long_ago(alice)
    same = {
        "name": made.name,
        "url": made.url,
        "event_types": made.event_types,
        "full_payloads": False,
        "enabled": True,
    }
    for change in (same, {}):
        assert alice.openai.webhooks.update(made.id, extra_body=change).updated_at == made.created_at - 3600


@pytest.mark.parametrize(("values", "param"), WRONG_CHANGES, ids=str)
def test_a_wrong_change_is_refused_and_changes_nothing(alice: Person, values: dict[str, Any], param: str) -> None:
    made = create(alice)
    before = alice.http.get(f"/webhook_endpoints/{made.id}").text
    answer = alice.http.post(f"/webhook_endpoints/{made.id}", json={"full_payloads": True, **values})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert alice.http.get(f"/webhook_endpoints/{made.id}").text == before


def test_a_network_that_the_operator_allows_may_be_told_without_tls(alice: Person) -> None:
    assert create(alice, url="http://127.0.0.1:8000/hook").url == "http://127.0.0.1:8000/hook"


def test_an_endpoint_or_a_cursor_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.webhooks.retrieve("we_never")
    assert refused.value.param == "id"
    with pytest.raises(NotFoundError) as refused:
        alice.openai.webhooks.list(after="we_never")
    assert refused.value.param == "after"


def test_a_wrong_limit_is_named(alice: Person) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.webhooks.list(extra_query={"limit": 0})
    assert refused.value.param == "limit"
