"""Sends wake-up messages through Celery. The queue itself is the rows' `due_at`; a message only names a row to look at.

A message that is lost, late or doubled changes nothing: the sweep sends another one for each row that is due.
"""

import logging
import threading
import time
from enum import StrEnum
from functools import cache
from zlib import crc32

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import event
from sqlmodel import Session

from shared.broker.circuit_breaker import CircuitBreaker
from shared.settings import get_settings

log = logging.getLogger(__name__)


class Task(StrEnum):
    """The names of the tasks; each takes the id of one row, or of one that will be when its bytes have come."""

    ADVANCE_DATASET = "datasets.advance"
    EXAMINE_AHEAD = "datasets.examine_ahead"
    UPLOAD_DATASET = "datasets.upload"
    CLOSE_UPLOAD = "uploads.close"
    ADVANCE_JOB = "jobs.advance"
    WATCH_JOBS = "jobs.watch"
    ADMIT_JOBS = "jobs.admit"
    DELETE_MODEL = "models.delete"
    ADVANCE_DEPLOYMENT = "deployments.advance"
    DELIVER_WEBHOOKS = "webhooks.deliver"
    RECOVER_WEBHOOKS = "webhooks.recover"
    SEND_NOTIFICATION = "notifications.send"
    REFRESH_CREDENTIAL = "credentials.refresh"
    RECONCILE_CREDENTIAL = "credentials.reconcile"


# Deliveries mostly wait for receivers that we do not control. They have a queue of their own, and a worker that runs
# many of them in threads, so that slow receivers do not hold up jobs.
DELIVERIES = "deliveries"
# Work has many queues, of which Celery serves one after the other. A project's messages are in two of them, so that
# thousands of them are in the way of hardly anybody else's.
WORK = ("celery", *(f"celery.{number}" for number in range(1, 32)))
DELIVERY_TASKS = (Task.DELIVER_WEBHOOKS, Task.SEND_NOTIFICATION)
REDIS_TIMEOUT_SECONDS = 1.0  # a shorter one would take a busy machine for a Redis that is down


@cache
def get_celery() -> Celery:
    """Return the app, configured to lose few messages. Retries, delays and results are columns in Postgres instead."""
    celery = Celery("tunery", broker=get_settings().redis_url)
    celery.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=1000,
        worker_max_memory_per_child=get_settings().worker_process_max_bytes >> 10,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "priority_steps": [0],  # of each queue; more would be that many more lists to look at
            "visibility_timeout": 300,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            "socket_timeout": REDIS_TIMEOUT_SECONDS,
            "max_retries": 0,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return celery


MAX_QUEUED_MESSAGES = 1000  # per queue; several processes may exceed it between two counts, but stay below 2,000
COUNT_INTERVAL_SECONDS = 0.5
CONFIRM_AFTER_SECONDS = 0.25  # if Redis has not answered for so long, one message alone finds out whether it still does
_counts: dict[str, int] = {}  # the messages in each queue, as counted at `_counted_at` and sent since then
_counted_at = -COUNT_INTERVAL_SECONDS
_last_answer_at = -CONFIRM_AFTER_SECONDS
_confirming = threading.Lock()
# Celery's pool has ten connections. It serves its waiters in no order and without a timeout, so nobody may wait there.
_sending = threading.BoundedSemaphore(8)


def queues_of(task: Task, key: str) -> tuple[str, ...]:
    """The queues that a message of this task may go to. `key`: the project's id, or the row's if it is no project's."""
    if task in DELIVERY_TASKS:
        return (DELIVERIES,)
    first, second = divmod(crc32(key.encode()) % (len(WORK) * (len(WORK) - 1)), len(WORK) - 1)
    return WORK[first], WORK[(first + 1 + second) % len(WORK)]


def lengths() -> dict[str, int]:
    """Return the number of waiting messages by queue. Raises kombu's `OperationalError` while Redis is down."""
    try:
        with get_celery().connection_or_acquire() as connection:
            pipeline = connection.default_channel.client.pipeline(transaction=False)
            for queue in (*WORK, DELIVERIES):
                pipeline.llen(queue)
            return dict(zip((*WORK, DELIVERIES), map(int, pipeline.execute()), strict=True))
    except RedisError as error:  # kombu translates only the errors of its own calls
        raise OperationalError(str(error)) from error


circuit_breaker = CircuitBreaker(lengths)


def _with_room(task: Task, key: str) -> str | None:
    """The shorter of its queues; None if more messages would not make workers any faster.

    The count is refreshed twice a second.
    """
    global _counted_at
    if not _counts or time.monotonic() - _counted_at >= COUNT_INTERVAL_SECONDS:
        _counts.update(lengths())
        _counted_at = time.monotonic()
    queue = min(queues_of(task, key), key=_counts.__getitem__)
    return queue if _counts[queue] < MAX_QUEUED_MESSAGES else None


def enqueue(task: Task, id: str, project_id: str | None = None, *, queue: str | None = None) -> bool:
    """Send a wake-up message for a row; False if it was not sent, which delays the row until the next sweep.

    Never raises and hardly waits: if Redis is down, one caller waits for the timeout, and the circuit breaker lets the
    others pass. A full queue takes no more messages but from a caller that has counted them itself, and names `queue`.
    """
    if _is_unconfirmed():
        with _confirming:
            if _is_unconfirmed():
                return _send(task, id, project_id, queue)
    return not circuit_breaker.is_open and _send(task, id, project_id, queue)


def _is_unconfirmed() -> bool:
    return not circuit_breaker.is_open and time.monotonic() - _last_answer_at >= CONFIRM_AFTER_SECONDS


def _send(task: Task, id: str, project_id: str | None, queue: str | None) -> bool:
    global _last_answer_at
    with _sending:
        if circuit_breaker.is_open:
            return False
        try:
            queue = queue or _with_room(task, project_id or id)
            if queue is None:
                return False
            headers = {"project_id": project_id or "", "sent_at": time.time()}
            get_celery().send_task(task, args=[id], queue=queue, headers=headers, retry=False)
        except OperationalError as error:
            circuit_breaker.open(error)
            return False
    if queue in _counts:
        _counts[queue] += 1
    _last_answer_at = time.monotonic()
    return True


def enqueue_on_commit(session: Session, task: Task, id: str, project_id: str | None) -> None:
    """Send the message after the commit: a worker that received it earlier would not see the row."""
    event.listen(session, "after_commit", lambda _: enqueue(task, id, project_id), once=True)
