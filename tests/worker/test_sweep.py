"""The sweep enqueues every due row, so that a lost message only delays a step."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from sqlmodel import SQLModel

from shared.broker import queue
from shared.broker.queue import Task
from shared.database import transaction
from shared.db.tables import Due
from shared.db.times import utc_now
from shared.due_tables import DUE
from shared.jobs.models import Job
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.brokers import broker_at
from tests.worker.support import change, ids, ready_job, step_killed_before_record
from tests.world import Person, Sandbox, row
from worker.jobs import job_step
from worker.runtime import sweep

LONG_AGO = timedelta(hours=1)


def change_all(ids: list[str], model: type[Any] = Credential, **values: Any) -> None:
    for id in ids:
        change(model, id, **values)


@pytest.fixture(autouse=True)
def broker(server: str, redis_url: str) -> Iterator[Redis]:
    """An empty broker that no other process uses."""
    of_this_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = urlsplit(redis_url)._replace(path=f"/{1 + of_this_process % 7}").geturl()
    with broker_at(url), Redis.from_url(url) as broker:
        broker.flushdb()
        yield broker


def rings(broker: Redis, id: str) -> list[str]:
    """The tasks that were sent for this row, the oldest first."""
    lists = [reversed(broker.lrange(each, 0, -1)) for each in queue.WORK]
    sent = [json.loads(message)["headers"] for messages in lists for message in messages]
    return [headers["task"] for headers in sent if headers["argsrepr"] == f"['{id}']"]


def sleeping_job(person: Person) -> str:
    """A job that nobody rang for."""
    job_id = person.create_job()
    for model in DUE:
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
    assert set(DUE) == {table for table in tables if issubclass(table, Due)}


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


def fill(broker: Redis, messages: int, queues: Sequence[str] = queue.WORK) -> None:
    for each in queues:
        broker.delete(each)
        broker.rpush(each, *["ring"] * messages)
    queue._counts.clear()


def test_queues_that_no_worker_reads_do_not_grow_without_end(alice: Person, many: list[str], broker: Redis) -> None:
    change_all(many, project_id=alice.project_id)
    fill(broker, sweep.MAX_MESSAGES_AFTER_SWEEP - 5)
    own = queue.queues_of(Task.REFRESH_CREDENTIAL, alice.project_id)
    assert [sweep.sweep() for _ in range(3)] == [10, 0, 0]
    assert [broker.llen(each) for each in own] == [sweep.MAX_MESSAGES_AFTER_SWEEP] * 2
    fill(broker, 1)
    assert sweep.sweep() == len(many) - 10


def test_a_process_that_enqueues_all_the_time_leaves_the_sweep_room(many: list[str], broker: Redis) -> None:
    fill(broker, queue.MAX_QUEUED_MESSAGES)
    assert not queue.enqueue(Task.REFRESH_CREDENTIAL, many[-1])
    assert sweep.sweep() == len(many)


def test_a_table_with_very_many_due_rows_leaves_the_others_room(alice: Person, many: list[str], broker: Redis) -> None:
    change_all(many, project_id=alice.project_id)
    flood = [alice.create_job() for _ in DUE]
    change_all(flood, Job, enqueued_at=None, due_at=utc_now() - LONG_AGO)
    own = queue.queues_of(Task.ADVANCE_JOB, alice.project_id)
    fill(broker, sweep.MAX_MESSAGES_AFTER_SWEEP, own)
    for number in range(len(DUE)):
        broker.rpop(own[number % 2])
        sweep.sweep()
    assert any(row(Credential, id).enqueued_at is not None for id in many)


def test_a_project_with_very_many_due_rows_leaves_the_others_room(alice: Person, bob: Person, server: str) -> None:
    """The others' are not lost behind them, though they became due later."""
    made = [
        Credential(provider="test", base_url="https://x.example", project_id=person.project_id, due_at=utc_now() - ago)
        for person, count, ago in ((alice, sweep.SWEEP_BATCH_ROWS + 10, LONG_AGO), (bob, 2, timedelta()))
        for _ in range(count)
    ]
    bobs = [credential.id for credential in made[-2:]]
    for credential in made:
        credential.enqueued_at = None
    with transaction() as session:
        session.add_all(made)
    assert sweep.sweep() == sweep.SWEEP_BATCH_ROWS
    assert all(row(Credential, id).enqueued_at is not None for id in bobs)


def test_the_messages_of_a_project_are_in_the_way_of_hardly_anybody(many: list[str], broker: Redis) -> None:
    """5,000 of one project; of another one, a message is first in its queue unless it shares both of its queues."""
    for number in range(200):
        queue.enqueue(Task.ADVANCE_JOB, f"ftjob-{number}", "proj_loud")
    loud = {each for each in queue.WORK if broker.llen(each)}
    assert loud == set(queue.queues_of(Task.ADVANCE_JOB, "proj_loud"))
    queue._counts.clear()
    others = [queue.queues_of(Task.ADVANCE_JOB, f"proj_{number}") for number in range(1000)]
    assert sum(set(each) <= loud for each in others) < 10
    assert all(len(set(each)) == 2 for each in others)


def test_while_a_queue_is_long_no_message_is_repeated_for_a_while(many: list[str], broker: Redis) -> None:
    assert sweep.sweep() == len(many)
    while_ = get_settings().enqueue_again_after
    for id in many:
        change(Credential, id, enqueued_at=utc_now() - 2 * while_, due_at=utc_now() - LONG_AGO)
    fill(broker, sweep.SWEEP_BATCH_ROWS)
    assert sweep.sweep() == 0
    change(Credential, many[0], enqueued_at=utc_now() - sweep.LOST_AFTER_INTERVALS * while_)
    assert sweep.sweep() == 1
    broker.flushdb()
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
