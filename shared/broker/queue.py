"""Sends wake-up messages through Celery. The queue itself is the rows' `due_at`; a message only names a row to look at.

A message that is lost, late or doubled changes nothing: the sweep sends another one for each row that is due.
"""

import logging
import threading
import time
from enum import StrEnum
from functools import cache

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import event
from sqlmodel import Session

from shared.broker.circuit_breaker import CircuitBreaker
from shared.settings import get_settings

log = logging.getLogger(__name__)


class Task(StrEnum):
    """The names of the tasks; each takes the id of one row."""

    ADVANCE_DATASET = "datasets.advance"
    UPLOAD_DATASET = "datasets.upload"
    CLOSE_UPLOAD = "uploads.close"
    ADVANCE_JOB = "jobs.advance"
    WATCH_JOBS = "jobs.watch"
    ADMIT_JOBS = "jobs.admit"
    DELETE_MODEL = "models.delete"
    DELIVER_WEBHOOKS = "webhooks.deliver"
    RECOVER_WEBHOOKS = "webhooks.recover"
    SEND_NOTIFICATION = "notifications.send"
    REFRESH_CREDENTIAL = "credentials.refresh"
    RECONCILE_CREDENTIAL = "credentials.reconcile"


# Deliveries mostly wait for receivers that we do not control. They have a queue of their own, and a worker that runs
# many of them in threads, so that slow receivers do not hold up jobs.
WORK, DELIVERIES = "celery", "deliveries"
DELIVERY_TASKS = (Task.DELIVER_WEBHOOKS, Task.SEND_NOTIFICATION)
REDIS_TIMEOUT_SECONDS = 1.0  # a shorter one would take a busy machine for a Redis that is down


@cache
def get_celery() -> Celery:
    """Return the app, configured to lose few messages. Retries, delays and results are columns in Postgres instead."""
    celery = Celery("tunery", broker=get_settings().redis_url)
    celery.conf.update(
        task_ignore_result=True,
        task_routes={task: {"queue": DELIVERIES} for task in DELIVERY_TASKS},
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_max_tasks_per_child=1000,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
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


MAX_QUEUED_MESSAGES = 3000  # per queue; several processes may exceed it between two counts, but stay below 5,000
COUNT_INTERVAL_SECONDS = 0.5
CONFIRM_AFTER_SECONDS = 0.25  # if Redis has not answered for so long, one message alone finds out whether it still does
_counts: dict[str, tuple[float, int]] = {}  # by queue: when its messages were counted, and how many there were
_last_answer_at = -CONFIRM_AFTER_SECONDS
_confirming = threading.Lock()
# Celery's pool has ten connections. It serves its waiters in no order and without a timeout, so nobody may wait there.
_sending = threading.BoundedSemaphore(8)


def queue_of(task: Task) -> str:
    return DELIVERIES if task in DELIVERY_TASKS else WORK


def length(queue: str) -> int:
    """Return the number of waiting messages. Raises kombu's `OperationalError` while Redis is down."""
    try:
        with get_celery().connection_or_acquire() as connection:
            return int(connection.default_channel.client.llen(queue))
    except RedisError as error:  # kombu translates only the errors of its own calls
        raise OperationalError(str(error)) from error


circuit_breaker = CircuitBreaker(lambda: length(WORK))


def _is_full(queue: str) -> bool:
    """Whether more messages would not make workers any faster. The count is refreshed twice a second."""
    counted_at, messages = _counts.get(queue, (-COUNT_INTERVAL_SECONDS, 0))
    if time.monotonic() - counted_at >= COUNT_INTERVAL_SECONDS:
        counted_at, messages = time.monotonic(), length(queue)
    _counts[queue] = counted_at, messages + 1
    return messages >= MAX_QUEUED_MESSAGES


def enqueue(task: Task, id: str, *, even_if_full: bool = False) -> bool:
    """Send a wake-up message for a row; False if it was not sent, which delays the row until the next sweep.

    Never raises and hardly waits: if Redis is down, one caller waits for the timeout, and the circuit breaker lets the
    others pass. A full queue takes no more messages unless `even_if_full`, for a caller that has counted them itself.
    """
    if _is_unconfirmed():
        with _confirming:
            if _is_unconfirmed():
                return _send(task, id, even_if_full)
    return not circuit_breaker.is_open and _send(task, id, even_if_full)


def _is_unconfirmed() -> bool:
    return not circuit_breaker.is_open and time.monotonic() - _last_answer_at >= CONFIRM_AFTER_SECONDS


def _send(task: Task, id: str, even_if_full: bool) -> bool:
    global _last_answer_at
    with _sending:
        if circuit_breaker.is_open:
            return False
        try:
            if not even_if_full and _is_full(queue_of(task)):
                return False
            get_celery().send_task(task, args=[id], retry=False)
        except OperationalError as error:
            circuit_breaker.open(error)
            return False
    _last_answer_at = time.monotonic()
    return True


def enqueue_on_commit(session: Session, task: Task, id: str) -> None:
    """Send the message after the commit: a worker that received it earlier would not see the row."""
    event.listen(session, "after_commit", lambda _: enqueue(task, id), once=True)
