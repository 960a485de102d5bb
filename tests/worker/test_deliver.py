"""A webhook's way to its receiver."""

from datetime import timedelta
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook, WebhookVerificationError

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.settings import get_settings
from shared.webhooks.models import DeliveryStatus, FailureReason, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tests.servers import Receiver, closed_port
from tests.worker.support import (
    attempt_again,
    change,
    endpoint_of,
    ids,
    running_job,
    step_killed_before_record,
    write_event,
)
from tests.world import Person, Sandbox, row, step, work
from worker.webhooks import deliver

ENDS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


def delivery(person: Person) -> str:
    """Something to tell."""
    write_event(person)
    return ids(WebhookDelivery)[-1]


def attempts(person: Person, endpoint_id: str) -> list[dict[str, Any]]:
    """All that was tried for the newest delivery, as the log shows it."""
    log = person.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries").raise_for_status().json()
    listed: list[dict[str, Any]] = log["data"][0]["attempts"]
    return listed


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_the_end_of_a_job_is_told_and_the_openai_sdk_believes_it(
    alice: Person, sandbox: Sandbox, receiver: Receiver, end: str
) -> None:
    secret = endpoint_of(alice, receiver.url, *ENDS)["signing_secret"]
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status=end)
    work(2)
    ((headers, body),) = receiver.received
    event = OpenAI(api_key="-", webhook_secret=secret).webhooks.unwrap(body, headers)
    told = row(WebhookEvent, event.id)
    assert (event.type, event.data.id) == (f"fine_tuning.job.{end}", job_id)  # type: ignore[union-attr]
    assert event.created_at == int(told.created_at.timestamp())
    assert headers["webhook-id"] == ids(WebhookDelivery)[0]
    assert (headers["content-type"], headers["host"]) == ("application/json", receiver.url.split("/")[2])


def test_an_independent_library_verifies_the_signature_and_sees_a_change(alice: Person, receiver: Receiver) -> None:
    secret = endpoint_of(alice, receiver.url)["signing_secret"]
    step(WebhookDelivery, delivery(alice))
    ((headers, body),) = receiver.received
    assert Webhook(secret).verify(body.decode(), headers)["object"] == "event"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.decode() + " ", headers)
    with pytest.raises(InvalidWebhookSignatureError):
        OpenAI(api_key="-", webhook_secret=secret).webhooks.unwrap(body, headers | {"webhook-id": "wh_other"})


def is_signed(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body.decode(), headers)
    except WebhookVerificationError:
        return False
    return True


def test_each_endpoint_has_a_delivery_and_a_secret_of_its_own(alice: Person, receiver: Receiver) -> None:
    secrets = [endpoint_of(alice, receiver.url)["signing_secret"] for _ in range(2)]
    delivery(alice)
    work()
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 2
    assert len({body for _, body in receiver.received}) == 1
    signed = [[is_signed(secret, body, headers) for headers, body in receiver.received] for secret in secrets]
    assert sorted(signed) == [[False, True], [True, False]]


def test_nobody_is_told_what_they_did_not_ask_for(alice: Person, bob: Person, receiver: Receiver) -> None:
    endpoint_of(alice, receiver.url, "fine_tuning.job.succeeded")
    endpoint_of(bob, receiver.url)
    write_event(alice)
    work()
    assert (receiver.received, ids(WebhookDelivery)) == ([], [])


def test_a_delivery_is_repeated_with_the_same_id_and_signed_afresh(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    receiver.answers = [500, 204]
    delivery_id = delivery(alice)
    step(WebhookDelivery, delivery_id)
    secret = alice.openai.webhooks.rotate_secret(made["id"]).signing_secret
    step(WebhookDelivery, delivery_id)
    (first, body), (second, same_body) = receiver.received
    assert first["webhook-id"] == second["webhook-id"] == delivery_id
    assert body == same_body
    Webhook(made["signing_secret"]).verify(body.decode(), first)
    Webhook(secret).verify(same_body.decode(), second)
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.SUCCEEDED


@pytest.mark.parametrize("status", [300, 302, 304, 400, 404, 429, 500])
def test_anything_but_a_2xx_is_a_failure_and_is_tried_again(alice: Person, receiver: Receiver, status: int) -> None:
    made = endpoint_of(alice, receiver.url)
    receiver.answers, receiver.headers = [status], {"location": receiver.url}
    receiver.body = b"" if status == 304 else b"no"
    delivery_id = delivery(alice)
    step(WebhookDelivery, delivery_id)
    (attempt,) = attempts(alice, made["id"])
    assert (attempt["response_status"], attempt["error"]) == (status, f"HTTP {status}")
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.PENDING
    assert len(receiver.received) == 1  # a redirect is not followed
    step(WebhookDelivery, delivery_id)
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.SUCCEEDED


def test_a_receiver_that_is_not_there_is_tried_again(alice: Person) -> None:
    made = endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/")
    delivery_id = delivery(alice)
    step(WebhookDelivery, delivery_id)
    (attempt,) = attempts(alice, made["id"])
    assert attempt["response_status"] is None
    assert "refused" in attempt["error"]
    assert row(WebhookDelivery, delivery_id).due_at > utc_now()


def test_a_receiver_that_is_down_for_70_hours_is_told_by_the_last_attempt(alice: Person, receiver: Receiver) -> None:
    made, schedule = endpoint_of(alice, receiver.url), get_settings().webhook_schedule
    receiver.answers = [500] * len(schedule)
    delivery_id, passed = delivery(alice), timedelta()
    for planned in schedule:
        attempt_again(delivery_id)
        wait = row(WebhookDelivery, delivery_id).due_at - utc_now()
        assert planned * 0.8 - timedelta(seconds=30) < wait < planned * 1.2
        passed += wait
        failing_since = row(WebhookEndpoint, made["id"]).failing_since
        change(WebhookEndpoint, made["id"], failing_since=failing_since - wait)
    assert timedelta(hours=73) < passed < timedelta(hours=78)
    attempt_again(delivery_id)
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.SUCCEEDED
    assert len(receiver.received) == len(attempts(alice, made["id"])) == len(schedule) + 1


def test_a_delivery_is_given_up_after_ten_attempts(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    receiver.answers = [500] * 20
    delivery_id = delivery(alice)
    while row(WebhookDelivery, delivery_id).due_at is not None:
        attempt_again(delivery_id)
    exhausted = row(WebhookDelivery, delivery_id)
    assert (exhausted.status, exhausted.failure_reason) == (DeliveryStatus.FAILED, FailureReason.EXHAUSTED)
    assert len(receiver.received) == len(attempts(alice, made["id"])) == 10


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("600", 600, 600), ("0", 4, 6), ("86400", 3600, 3600), ("1e400", 4, 6), ("tomorrow", 4, 6), ("-5", 4, 6)],
)
def test_a_receiver_may_ask_for_time_up_to_an_hour(
    alice: Person, receiver: Receiver, header: str, least: int, most: int
) -> None:
    endpoint_of(alice, receiver.url)
    receiver.answers, receiver.headers = [429], {"retry-after": header}
    delivery_id, began = delivery(alice), utc_now()
    step(WebhookDelivery, delivery_id)
    due_at = row(WebhookDelivery, delivery_id).due_at
    assert began + timedelta(seconds=least) <= due_at <= utc_now() + timedelta(seconds=most)


def test_what_was_answered_is_kept_up_to_2_kb_and_may_be_anything(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    receiver.body = b"nul \x00, broken \xff, " + b"x" * 100_000
    step(WebhookDelivery, delivery(alice))
    (attempt,) = attempts(alice, made["id"])
    assert attempt["response_body"].startswith("nul \N{REPLACEMENT CHARACTER}, broken \N{REPLACEMENT CHARACTER}, x")
    assert len(attempt["response_body"]) == 2048
    assert attempt["error"] is None


def test_nothing_more_is_sent_to_an_endpoint_that_was_deleted(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    delivery_id = delivery(alice)
    alice.http.delete(f"/webhook_endpoints/{made['id']}").raise_for_status()
    step(WebhookDelivery, delivery_id)
    given_up = row(WebhookDelivery, delivery_id)
    assert (given_up.status, given_up.due_at, receiver.received) == (DeliveryStatus.FAILED, None, [])


def test_a_worker_that_is_killed_while_it_tells_tells_again_with_the_same_id(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    delivery_id = delivery(alice)
    step_killed_before_record(deliver.attempt, delivery_id)
    step(WebhookDelivery, delivery_id)
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [delivery_id] * 2
    assert len(attempts(alice, made["id"])) == 1


def test_an_endpoint_whose_secret_cannot_be_opened_gives_up_in_the_end(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    change(WebhookEndpoint, made["id"], sealed_secret="sealed with a key that is lost")
    delivery_id = delivery(alice)
    for _ in range(get_settings().max_step_failures + 1):
        step(WebhookDelivery, delivery_id)
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.FAILED
    assert receiver.received == []


def test_the_job_itself_does_not_wait_for_its_webhook(alice: Person, sandbox: Sandbox) -> None:
    endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/")
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "succeeded"
