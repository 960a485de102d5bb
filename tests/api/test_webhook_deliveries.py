"""GET /v1/webhook_endpoints/{webhook_endpoint_id}/deliveries: the log of what was told."""

from typing import Any

from tests.api.test_webhook_endpoints import create
from tests.api.training import move, train
from tests.servers import Receiver
from tests.world import Person, Sandbox, work

ALL = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


def deliveries(person: Person, endpoint_id: str, **query: str) -> dict[str, Any]:
    answer: dict[str, Any] = person.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries", params=query).json()
    return answer


def test_a_delivery_is_logged_with_its_answer(alice: Person, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = create(alice, url=receiver.url)
    job = train(alice, sandbox)
    work()
    [delivery] = deliveries(alice, endpoint.id)["data"]
    assert (delivery["status"], delivery["next_attempt_at"]) == ("succeeded", None)
    assert delivery["event_type"] == "fine_tuning.job.succeeded"
    [attempt] = delivery["attempts"]
    assert (attempt["response_status"], attempt["response_body"], attempt["error"]) == (200, "ok", None)
    [(headers, body)] = receiver.received
    assert headers["webhook-id"] == delivery["id"]
    told: Any = alice.openai.webhooks.unwrap(body, headers, secret=endpoint.signing_secret)
    assert (told.id, told.type, told.data.id) == (delivery["event_id"], "fine_tuning.job.succeeded", job.id)


def test_each_attempt_is_logged_under_the_same_id(alice: Person, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = create(alice, url=receiver.url)
    receiver.answers = [500, 302]
    train(alice, sandbox)
    work(4)
    [delivery] = deliveries(alice, endpoint.id)["data"]
    assert [attempt["response_status"] for attempt in delivery["attempts"]] == [500, 302, 200]
    assert [attempt["error"] for attempt in delivery["attempts"]] == ["HTTP 500", "HTTP 302", None]
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {delivery["id"]}


def test_every_end_is_told_to_those_who_want_it(alice: Person, sandbox: Sandbox, receiver: Receiver) -> None:
    wants_all = create(alice, url=receiver.url, event_types=ALL)
    wants_one = create(alice, url=receiver.url, event_types=["fine_tuning.job.failed"])
    for status in ("succeeded", "failed", "cancelled"):
        move(alice, sandbox, alice.create_job(), status)
    work()
    assert [each["event_type"] for each in deliveries(alice, wants_all.id)["data"]] == ALL[::-1]
    assert [each["event_type"] for each in deliveries(alice, wants_one.id)["data"]] == ["fine_tuning.job.failed"]


def test_pages_follow_each_other_to_the_end(alice: Person, receiver: Receiver) -> None:
    endpoint = create(alice, url=receiver.url, event_types=ALL)
    for _ in range(3):
        alice.openai.fine_tuning.jobs.cancel(alice.create_job())
    first = deliveries(alice, endpoint.id, limit="2")
    rest = deliveries(alice, endpoint.id, limit="2", after=first["last_id"])
    assert (len(first["data"]), first["has_more"], len(rest["data"]), rest["has_more"]) == (2, True, 1, False)


def test_an_endpoint_that_never_was_has_no_log(alice: Person) -> None:
    answer = alice.http.get("/webhook_endpoints/we_never/deliveries")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
