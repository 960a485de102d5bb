"""Lanes: a receiver that hangs holds one thread, and nobody else up; what finds no lane free is not forgotten."""

import socket
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from shared.webhooks.models import DeliveryStatus, WebhookDelivery
from tests.servers import PATIENCE, Receiver, talking
from tests.worker.levers import change, endpoint_of, ids
from tests.world import Person, row
from worker.webhooks import deliver
from worker.webhooks.concurrency import LANES_OF_AN_ENDPOINT, Lanes


class Gate:
    """A receiver that takes a request and answers once it is opened."""

    def __init__(self) -> None:
        self.came, self.opened, self.url = threading.Semaphore(0), threading.Event(), ""

    def talk(self, connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        self.came.release()
        self.opened.wait(PATIENCE)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    with talking(gate.talk) as visits:
        gate.url = f"http://127.0.0.1:{visits.port}/"
        yield gate
        gate.opened.set()


def told(person: Person, times: int) -> list[str]:
    """Deliveries of as many events."""
    before = set(ids(WebhookDelivery))
    for _ in range(times):
        person.openai.fine_tuning.jobs.cancel(person.create_job())
    return [id for id in ids(WebhookDelivery) if id not in before]


def statuses(delivery_ids: list[str]) -> list[DeliveryStatus]:
    return [row(WebhookDelivery, id).status for id in delivery_ids]


def rung_for(delivery_id: str) -> None:
    """What a sender does with the message of this delivery."""
    deliver.deliver(row(WebhookDelivery, delivery_id).endpoint_id)


def on_its_way(delivery_id: str, gate: Gate) -> threading.Thread:
    thread = threading.Thread(target=rung_for, args=(delivery_id,))
    thread.start()
    assert gate.came.acquire(timeout=PATIENCE)
    return thread


def test_what_finds_no_lane_free_is_taken_by_who_comes_back(alice: Person, gate: Gate) -> None:
    endpoint_of(alice, gate.url)
    first, *others = told(alice, 3)
    thread = on_its_way(first, gate)
    for id in others:
        rung_for(id)
    assert statuses(others) == [DeliveryStatus.PENDING] * 2
    assert all(row(WebhookDelivery, id).failures == 0 for id in others)
    gate.opened.set()
    thread.join(PATIENCE)
    assert statuses([first, *others]) == [DeliveryStatus.SUCCEEDED] * 3


def test_an_endpoint_that_hangs_does_not_hold_up_another(alice: Person, gate: Gate, receiver: Receiver) -> None:
    hangs = endpoint_of(alice, gate.url)["id"]
    endpoint_of(alice, receiver.url)
    hanging, good = sorted(told(alice, 1), key=lambda id: bool(row(WebhookDelivery, id).endpoint_id != hangs))
    thread = on_its_way(hanging, gate)
    rung_for(good)
    assert (statuses([hanging, good]), len(receiver.received)) == ([DeliveryStatus.PENDING, "succeeded"], 1)
    gate.opened.set()
    thread.join(PATIENCE)


def test_who_comes_back_goes_on_with_other_endpoints_of_the_project(
    alice: Person, bob: Person, receiver: Receiver
) -> None:
    for person in (alice, alice, bob):
        endpoint_of(person, receiver.url)
    first, *others = told(alice, 2)
    his = told(bob, 1)
    rung_for(first)
    assert statuses([first, *others]) == [DeliveryStatus.SUCCEEDED] * 4
    assert statuses(his) == [DeliveryStatus.PENDING]


def test_a_sender_that_shall_stop_leaves_the_rest_to_others(alice: Person, receiver: Receiver, redis_url: str) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    first, *others = told(alice, 3)
    with Redis.from_url(redis_url) as broker:
        before = rings(broker, endpoint_id)
        deliver.stopping.set()
        try:
            rung_for(first)
        finally:
            deliver.stopping.clear()
        assert rings(broker, endpoint_id) == before + 1
    assert statuses([first, *others]) == [DeliveryStatus.SUCCEEDED, *[DeliveryStatus.PENDING] * 2]


def rings(broker: Redis, endpoint_id: str) -> int:
    """How many messages say to look at this endpoint."""
    return sum(f"['{endpoint_id}']".encode() in message for message in broker.lrange("deliveries", 0, -1))


def test_a_delivery_that_is_not_due_is_left_alone(alice: Person, receiver: Receiver) -> None:
    endpoint_of(alice, receiver.url)
    (id,) = told(alice, 1)
    change(WebhookDelivery, id, due_at=None)
    rung_for(id)
    assert receiver.received == []


def test_an_endpoint_gets_more_lanes_as_it_answers_and_one_when_it_does_not() -> None:
    lanes = Lanes()
    assert [lanes.take("proj_1", "we_1") for _ in range(2)] == [True, False]
    for _ in range(100):
        lanes.note("we_1", has_answered=True)
    lanes.of_a_project = 100
    assert [lanes.take("proj_1", "we_1") for _ in range(LANES_OF_AN_ENDPOINT)].count(True) == LANES_OF_AN_ENDPOINT - 1
    assert lanes.full() == ["we_1"]
    lanes.note("we_1", has_answered=False)
    for _ in range(LANES_OF_AN_ENDPOINT):
        assert not lanes.take("proj_1", "we_1")
        lanes.give_back("proj_1", "we_1")
    assert lanes.take("proj_1", "we_1")


def test_a_project_has_its_share_of_the_lanes_and_no_more() -> None:
    lanes = Lanes()
    lanes.of_a_project = 2
    assert [lanes.take("proj_1", f"we_{number}") for number in range(3)] == [True, True, False]
    assert lanes.take("proj_2", "we_9")
    lanes.give_back("proj_1", "we_0")
    assert lanes.is_free("proj_1", "we_2")
