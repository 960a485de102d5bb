"""The sweep enqueues every due row, so that a lost message only delays a step."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from urllib.parse import urlsplit

import pytest
from redis import Redis
from sqlmodel import SQLModel

from shared.broker import queue
from shared.broker.queue import Task
from shared.database import transaction
from shared.db.tables import Due
from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.brokers import broker_at
from tests.worker.support import change, ids, ready_job, step_killed_before_record
from tests.world import Person, Sandbox, row
from worker.jobs import job_step
from worker.runtime import sweep

LONG_AGO = timedelta(hours=1)


@pytest.fixture
def broker(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as broker:
        yield broker


@pytest.fixture(autouse=True)
def _nobody_has_rung(broker: Redis) -> None:
    """A queue that many tests have enqueued in takes no more."""
    broker.delete("celery", "deliveries")
    queue._counts.clear()


def rings(broker: Redis, id: str) -> list[str]:
    """The tasks that were sent for this row, the oldest first."""
    sent = [json.loads(message)["headers"] for message in reversed(broker.lrange("celery", 0, -1))]
    return [headers["task"] for headers in sent if headers["argsrepr"] == f"['{id}']"]


def sleeping_job(person: Person) -> str:
    """A job that nobody rang for."""
    job_id = person.create_job()
    for model in sweep.DUE:
        for id in ids(model):
            change(model, id, due_at=None)
    return job_id


@pytest.fixture
def many(clean: str) -> list[str]:
    """Some rows, due and never enqueued."""
    with transaction() as session:
        for number in range(40):
            session.add(Credential(provider="test", base_url=f"https://{number}.example/v1"))
    for id in ids(Credential):
        change(Credential, id, enqueued_at=None)
    return ids(Credential)


def test_every_kind_of_row_that_has_steps_is_swept() -> None:
    tables = {mapper.class_ for mapper in SQLModel._sa_registry.mappers}
    assert set(sweep.DUE) == {table for table in tables if issubclass(table, Due)}


def test_a_due_row_without_a_message_is_enqueued_once(alice: Person, broker: Redis) -> None:
    job_id = sleeping_job(alice)
    before = len(rings(broker, job_id))
    change(Job, job_id, due_at=utc_now(), enqueued_at=None)
    assert sweep.sweep() == 1
    assert sweep.sweep() == 0
    assert rings(broker, job_id)[before:] == ["jobs.advance"]


def test_a_row_that_became_due_after_its_last_message_is_enqueued(alice: Person) -> None:
    job_id = sleeping_job(alice)
    change(Job, job_id, due_at=utc_now(), enqueued_at=utc_now() - timedelta(seconds=1))
    assert sweep.sweep() == 1


def test_a_message_that_was_lost_is_sent_again_after_a_while(alice: Person) -> None:
    job_id, while_ = sleeping_job(alice), get_settings().enqueue_again_after
    change(Job, job_id, due_at=utc_now() - LONG_AGO, enqueued_at=utc_now() - while_ / 2)
    assert sweep.sweep() == 0
    change(Job, job_id, enqueued_at=utc_now() - while_)
    assert sweep.sweep() == 1


def test_a_row_that_is_not_due_is_not_enqueued(alice: Person) -> None:
    job_id = sleeping_job(alice)
    change(Job, job_id, enqueued_at=None)
    assert sweep.sweep() == 0
    change(Job, job_id, due_at=utc_now() + timedelta(seconds=5))
    assert sweep.sweep() == 0


def test_the_row_of_a_killed_worker_is_enqueued_when_its_lease_has_run_out(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    assert sweep.sweep() == 0
    step_killed_before_record(job_step.advance, job_id)
    change(Job, job_id, enqueued_at=utc_now() - timedelta(seconds=1))
    assert sweep.sweep() == 1


def test_several_sweeps_at_once_take_different_rows(many: list[str], broker: Redis) -> None:
    together = Barrier(4)

    def one() -> int:
        together.wait()
        return sweep.sweep()

    with ThreadPoolExecutor(4) as threads:
        enqueued = list(threads.map(lambda _: one(), range(4)))
    assert sum(enqueued) == len(many)
    assert [rings(broker, id) for id in many] == [["credentials.refresh"]] * len(many)


def test_a_locked_row_is_not_waited_for(many: list[str]) -> None:
    with transaction() as session:
        session.get_one(Credential, many[0], with_for_update={"key_share": True})
        assert sweep.sweep() == len(many) - 1


@pytest.fixture
def own_broker(redis_url: str) -> Iterator[Redis]:
    """A broker that no other test uses."""
    of_this_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = urlsplit(redis_url)._replace(path=f"/{1 + of_this_process % 7}").geturl()
    with broker_at(url), Redis.from_url(url) as broker:
        broker.flushdb()
        yield broker


def test_a_queue_that_no_worker_reads_does_not_grow_without_end(many: list[str], own_broker: Redis) -> None:
    own_broker.rpush("celery", *["ring"] * (sweep.MAX_MESSAGES_AFTER_SWEEP - 10))
    assert [sweep.sweep() for _ in range(3)] == [10, 0, 0]
    assert own_broker.llen("celery") == sweep.MAX_MESSAGES_AFTER_SWEEP
    own_broker.delete("celery")
    queue._counts.clear()
    assert sweep.sweep() == len(many) - 10


def test_a_process_that_enqueues_all_the_time_leaves_the_sweep_room(many: list[str], own_broker: Redis) -> None:
    own_broker.rpush("celery", *["ring"] * queue.MAX_QUEUED_MESSAGES)
    assert not queue.enqueue(Task.REFRESH_CREDENTIAL, many[-1])
    assert sweep.sweep() == len(many)


def test_a_table_with_very_many_due_rows_leaves_the_others_room(
    alice: Person, many: list[str], own_broker: Redis
) -> None:
    flood = [alice.create_job() for _ in sweep.DUE]
    for id in flood:
        change(Job, id, enqueued_at=None, due_at=utc_now() - LONG_AGO)
    own_broker.delete("celery")
    own_broker.rpush("celery", *["ring"] * (sweep.MAX_MESSAGES_AFTER_SWEEP - 1))
    for _ in sweep.DUE:
        assert sweep.sweep() == 1
        own_broker.rpop("celery")
    assert any(row(Credential, id).enqueued_at is not None for id in many)


def test_while_a_queue_is_long_no_message_is_repeated_for_a_while(many: list[str], own_broker: Redis) -> None:
    assert sweep.sweep() == len(many)
    while_ = get_settings().enqueue_again_after
    for id in many:
        change(Credential, id, enqueued_at=utc_now() - 2 * while_, due_at=utc_now() - LONG_AGO)
    own_broker.rpush("celery", *["ring"] * sweep.SWEEP_BATCH_ROWS)
    assert sweep.sweep() == 0
    change(Credential, many[0], enqueued_at=utc_now() - sweep.LOST_AFTER_INTERVALS * while_)
    assert sweep.sweep() == 1
    own_broker.flushdb()
    assert sweep.sweep() == len(many) - 1


def test_a_sweep_without_redis_ends_well_and_its_rows_are_enqueued_when_redis_is_back(
    many: list[str], broker: Redis
) -> None:
    with broker_at("redis://127.0.0.1:1/0"):
        assert sweep.sweep() == 0
        assert all(row(Credential, id).due_at <= utc_now() for id in many)
    deadline = time.monotonic() + 60
    while sweep.sweep() < len(many):  # a bell that was down is left alone for a moment
        assert time.monotonic() < deadline
        for id in many:
            change(Credential, id, enqueued_at=utc_now() - get_settings().enqueue_again_after)
    assert rings(broker, many[-1]) == ["credentials.refresh"]
