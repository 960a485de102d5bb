"""…/webhook_endpoints/{webhook_endpoint_id}/deliveries: what was told, what was answered, and telling it again."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import epoch, utc_now
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookRecovery
from tests.servers import Receiver, closed_port
from tests.worker.support import attempt_again, change, endpoint_of, ids, write_event
from tests.worker.test_recover import happened, recover
from tests.world import Person, row, step, work

PATH = "/webhook_endpoints/{}/deliveries"
ADDED_BY_HTTP = {"host", "content-length", "connection"}


def deliveries(person: Person, endpoint_id: str, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = person.http.get(PATH.format(endpoint_id), params=query).raise_for_status().json()
    return answer


def delivery(person: Person, endpoint_id: str, delivery_id: str) -> dict[str, Any]:
    answer = person.http.get(f"{PATH.format(endpoint_id)}/{delivery_id}").raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def test_a_delivery_shows_what_was_sent_where_to_and_what_came_back(alice: Person, receiver: Receiver) -> None:
    made = endpoint_of(alice, receiver.url)
    receiver.answers, receiver.headers, receiver.body = [503], {"x-why": "tired"}, b"y" * 5000
    event_id = write_event(alice)
    [delivery_id] = ids(WebhookDelivery)
    attempt_again(delivery_id)
    attempt_again(delivery_id)
    shown = delivery(alice, made["id"], delivery_id)
    assert (shown["object"], shown["status"], shown["event_id"]) == ("webhook_delivery", "succeeded", event_id)
    assert (shown["event_type"], shown["object_id"]) == (EventType.JOB_CANCELLED, "ftjob-1")
    assert (shown["next_attempt_at"], shown["failure_reason"], shown["finished_at"] is None) == (None, None, False)
    for attempt, (headers, body) in zip(shown["attempts"], receiver.received, strict=True):
        assert attempt["request_headers"] == {name: headers[name] for name in headers.keys() - ADDED_BY_HTTP}
        assert shown["request_body"].encode() == body
        assert (attempt["url"], attempt["address"]) == (receiver.url, receiver.url.split("/")[2])
        assert ["x-why", "tired"] in attempt["response_headers"]
        assert attempt["response_body"] == "y" * 2048
        assert 0 <= attempt["duration_ms"] < 60_000
        assert attempt["created_at"] <= attempt["finished_at"]
    errors = [(attempt["response_status"], attempt["error"]) for attempt in shown["attempts"]]
    assert errors == [(503, "HTTP 503"), (200, None)]
    assert made["signing_secret"] not in str(shown)


def test_the_list_has_the_attempts_and_not_the_bodies(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    write_event(alice)
    work()
    [listed] = deliveries(alice, endpoint_id)["data"]
    whole = delivery(alice, endpoint_id, listed["id"])
    assert whole.pop("request_body")
    assert listed == whole


def test_what_is_to_be_tried_again_says_when(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/")["id"]
    write_event(alice)
    [delivery_id] = ids(WebhookDelivery)
    step(WebhookDelivery, delivery_id)
    shown = delivery(alice, endpoint_id, delivery_id)
    assert (shown["status"], shown["finished_at"]) == ("pending", None)
    assert shown["next_attempt_at"] == epoch(row(WebhookDelivery, delivery_id).due_at)
    [attempt] = shown["attempts"]
    assert (attempt["response_status"], attempt["response_headers"], attempt["response_body"]) == (None, None, None)


def test_every_filter_and_all_of_them_together(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url, EventType.JOB_CANCELLED, EventType.DATASET_FAILED)["id"]
    receiver.answers = [410]
    for type, object_id in (("failed", "a"), ("cancelled", "a"), ("cancelled", "b"), ("failed", "a")):
        write_event(alice, EventType.JOB_CANCELLED if type == "cancelled" else EventType.DATASET_FAILED, id=object_id)
        work()
        change(WebhookEndpoint, endpoint_id, disabled_at=None, paused_until=None)
    first, second, third, fourth = ids(WebhookDelivery)
    times = [epoch(row(WebhookEvent, id).created_at) for id in ids(WebhookEvent)]

    def found(**query: Any) -> list[str]:
        return [each["id"] for each in deliveries(alice, endpoint_id, **query)["data"]]

    assert found() == [fourth, third, second, first]
    assert found(status="failed") == [first]
    assert found(status="pending") == []
    assert found(type="dataset.failed") == [fourth, first]
    assert found(object="b") == [third]
    assert found(since=times[0], until=times[-1]) == found()
    assert found(since=times[-1] + 1) == found(until=times[0] - 1) == []
    together = {"type": "dataset.failed", "object": "a", "since": times[0], "until": times[-1]}
    assert found(**together, status="succeeded") == [fourth]
    assert found(**together, limit=1) == [fourth]
    assert found(**together, limit=1, after=fourth) == [first]


def test_times_are_those_of_the_events_to_the_second(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, "https://hooks.example.com/")["id"]
    event_ids = happened(alice, 3601.5, 3600, 3598.5)
    step(WebhookRecovery, recover(alice, endpoint_id, 0)["id"])
    middle = epoch(row(WebhookEvent, event_ids[1]).created_at)
    [found] = deliveries(alice, endpoint_id, since=middle, until=middle)["data"]
    assert found["event_id"] == event_ids[1]


def test_pages_follow_each_other_to_the_end(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, "https://hooks.example.com/")["id"]
    for _ in range(3):
        write_event(alice)
    first = deliveries(alice, endpoint_id, limit=2)
    rest = deliveries(alice, endpoint_id, limit=2, after=first["last_id"])
    assert (len(first["data"]), first["has_more"], len(rest["data"]), rest["has_more"]) == (2, True, 1, False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"status": "lost"}, "status"),
        ({"type": "batch.completed"}, "type"),
        ({"since": "yesterday"}, "since"),
        ({"until": "-1"}, "until"),
        ({"limit": "101"}, "limit"),
    ],
)
def test_a_wrong_filter_is_named(alice: Person, query: dict[str, str], param: str) -> None:
    endpoint_id = endpoint_of(alice, "https://hooks.example.com/")["id"]
    answer = alice.http.get(PATH.format(endpoint_id), params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("answers", [[200, 200], [410, 200]])
def test_it_is_delivered_again_under_the_same_id(alice: Person, receiver: Receiver, answers: list[int]) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    receiver.answers = answers
    write_event(alice)
    [delivery_id] = ids(WebhookDelivery)
    step(WebhookDelivery, delivery_id)
    change(WebhookEndpoint, endpoint_id, disabled_at=None)
    again = alice.http.post(f"{PATH.format(endpoint_id)}/{delivery_id}/redeliver").raise_for_status().json()
    assert (again["id"], again["status"], again["finished_at"]) == (delivery_id, "pending", None)
    step(WebhookDelivery, delivery_id)
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [delivery_id] * 2
    shown = delivery(alice, endpoint_id, delivery_id)
    assert (shown["status"], shown["failure_reason"], len(shown["attempts"])) == ("succeeded", None, 2)


def test_who_asks_again_gets_the_whole_schedule_again(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/")["id"]
    write_event(alice)
    [delivery_id] = ids(WebhookDelivery)
    change(WebhookDelivery, delivery_id, attempts=9)
    attempt_again(delivery_id)
    assert delivery(alice, endpoint_id, delivery_id)["failure_reason"] == "attempts_exhausted"
    alice.http.post(f"{PATH.format(endpoint_id)}/{delivery_id}/redeliver").raise_for_status()
    attempt_again(delivery_id)
    assert delivery(alice, endpoint_id, delivery_id)["status"] == "pending"


def test_the_log_of_one_endpoint_is_not_the_log_of_another(alice: Person, receiver: Receiver) -> None:
    first, second = (endpoint_of(alice, receiver.url)["id"] for _ in range(2))
    write_event(alice)
    theirs = {
        each["webhook_endpoint_id"]: each["id"] for id in (first, second) for each in deliveries(alice, id)["data"]
    }
    path = f"{PATH.format(first)}/{theirs[second]}"
    for answer in (alice.http.get(path), alice.http.post(f"{path}/redeliver")):
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "delivery_id")
    assert alice.http.get("/webhook_endpoints/we_never/deliveries").status_code == 404


def made_ago(endpoint_id: str, event_id: str, minutes: float) -> str:
    """A delivery of an event that was made so long ago."""
    at = utc_now() - timedelta(minutes=minutes)
    with transaction() as session:
        event = session.get_one(WebhookEvent, event_id)
        made = WebhookDelivery(project_id=event.project_id, event_id=event_id, endpoint_id=endpoint_id, due_at=None)
        made.id, made.created_at = first_id(WebhookDelivery.id_prefix, at), at
        session.add(made)
        return made.id


def test_a_time_finds_deliveries_that_were_made_with_their_events_and_later_ones(alice: Person) -> None:
    endpoint_id = endpoint_of(alice, "https://hooks.example.com/")["id"]
    events = happened(alice, 5 * 3600, 4 * 3600, 3 * 3600, 0)
    with_event, much_later, later = (
        made_ago(endpoint_id, event_id, minutes) for event_id, minutes in zip(events, (300, 10, 179), strict=False)
    )
    newest = made_ago(endpoint_id, events[-1], 0)
    two_hours_ago = epoch(utc_now()) - 7200

    def found(**query: Any) -> list[str]:
        return [each["id"] for each in deliveries(alice, endpoint_id, **query)["data"]]

    assert found() == [newest, much_later, later, with_event]
    assert found(until=two_hours_ago) == [much_later, later, with_event]
    assert found(until=two_hours_ago, limit=1) == [much_later]
    assert found(until=two_hours_ago, limit=1, after=much_later) == [later]
    assert found(until=two_hours_ago, after=later) == [with_event]
    assert found(since=two_hours_ago - 3 * 3600 + 600, until=two_hours_ago) == [much_later, later]
    assert found(since=two_hours_ago) == [newest]
