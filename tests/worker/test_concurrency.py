"""Concurrency slots: a receiver that hangs holds one thread, and a delivery that finds no free slot is not lost."""

import socket
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from shared.webhooks.models import DeliveryStatus, WebhookDelivery
from tests.servers import PATIENCE, Receiver, talking
from tests.worker.support import change, endpoint_of, ids
from tests.world import Person, row
from worker.webhooks import deliver
from worker.webhooks.concurrency import MAX_SLOTS_PER_ENDPOINT, ConcurrencySlots


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
    delivery = row(WebhookDelivery, delivery_id)
    deliver.deliver(delivery.endpoint_id, delivery.project_id)


def on_its_way(delivery_id: str, gate: Gate) -> threading.Thread:
    thread = threading.Thread(target=rung_for, args=(delivery_id,))
    thread.start()
    assert gate.came.acquire(timeout=PATIENCE)
    return thread


def test_a_delivery_that_finds_no_free_slot_is_sent_by_a_task_that_releases_one(alice: Person, gate: Gate) -> None:
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


def test_an_endpoint_gets_more_slots_as_it_answers_and_one_again_when_it_fails() -> None:
    slots = ConcurrencySlots()
    assert [slots.acquire("proj_1", "we_1") for _ in range(2)] == [True, False]
    for _ in range(100):
        slots.record_answer("we_1", succeeded=True)
    slots.max_per_project = 100
    assert [slots.acquire("proj_1", "we_1") for _ in range(MAX_SLOTS_PER_ENDPOINT)].count(
        True
    ) == MAX_SLOTS_PER_ENDPOINT - 1
    assert slots.full_endpoints() == ["we_1"]
    slots.record_answer("we_1", succeeded=False)
    for _ in range(MAX_SLOTS_PER_ENDPOINT):
        assert not slots.acquire("proj_1", "we_1")
        slots.release("proj_1", "we_1")
    assert slots.acquire("proj_1", "we_1")


def test_a_project_uses_its_share_of_the_slots_and_no_more() -> None:
    slots = ConcurrencySlots()
    slots.max_per_project = 2
    assert [slots.acquire("proj_1", f"we_{number}") for number in range(3)] == [True, True, False]
    assert slots.acquire("proj_2", "we_9")
    slots.release("proj_1", "we_0")
    assert slots.is_free("proj_1", "we_2")
