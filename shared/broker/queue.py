"""The doorbell. A row's `due_at` is the queue; a message only says «look at this row now»."""

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

from shared.broker.circuit_breaker import Silence
from shared.settings import get_settings

log = logging.getLogger(__name__)


class Task(StrEnum):
    """A task is a name and an id; the name says which kind of row to look at."""

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


# Deliveries wait for strangers most of the time, so many of them go on at once, in threads of a worker of their own.
WORK, DELIVERIES = "celery", "deliveries"
TO_STRANGERS = (Task.DELIVER_WEBHOOKS, Task.SEND_NOTIFICATION)


PATIENCE = 1.0  # seconds that a request may wait for Redis, once; a busy machine is no silence


@cache
def get_celery() -> Celery:
    """No results, no retries, no ETA: Postgres knows all of that. What is set here is about losing few messages."""
    celery = Celery("tunery", broker=get_settings().redis_url)
    celery.conf.update(
        task_ignore_result=True,
        task_routes={task: {"queue": DELIVERIES} for task in TO_STRANGERS},
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
            "socket_connect_timeout": PATIENCE,
            "socket_timeout": PATIENCE,
            "max_retries": 0,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return celery


MOST_MESSAGES = 3000  # of a queue; with what several processes send before they ask again, still below 5,000
COUNT_EVERY = 0.5  # seconds
DOUBTED_AFTER = 0.25  # seconds without an answer; then the next ring finds out alone whether there still is one
_counted: dict[str, tuple[float, int]] = {}
_answered_at = -DOUBTED_AFTER
_alone = threading.Lock()
_together = threading.BoundedSemaphore(8)  # of Celery's ten connections, for which nobody waits in order or in time


def queue_of(task: Task) -> str:
    return DELIVERIES if task in TO_STRANGERS else WORK


def length(queue: str) -> int:
    """How many messages wait there. Raises kombu's OperationalError while the broker is down."""
    try:
        with get_celery().connection_or_acquire() as connection:
            return int(connection.default_channel.client.llen(queue))
    except RedisError as error:  # kombu translates what its own calls meet
        raise OperationalError(str(error)) from error


silence = Silence(lambda: length(WORK))


def _is_full(queue: str) -> bool:
    """Counted anew now and then: so many messages would not be heard sooner for being more."""
    counted_at, messages = _counted.get(queue, (-COUNT_EVERY, 0))
    if time.monotonic() - counted_at >= COUNT_EVERY:
        counted_at, messages = time.monotonic(), length(queue)
    _counted[queue] = counted_at, messages + 1
    return messages >= MOST_MESSAGES


def enqueue(task: Task, id: str, *, even_if_full: bool = False) -> bool:
    """Wake a worker. A lost ring costs the time until the next sweep, never the work.

    A doorbell that is down is left alone until it is heard of again: who stands behind the first who finds it so does
    not wait too. One that answers is rung by several at once. One that has many rings to be heard takes no more, unless
    `even_if_full`: who says so has counted.
    """
    if _is_doubted():
        with _alone:
            if _is_doubted():
                return _ring(task, id, even_if_full)
    return not silence.lasts and _ring(task, id, even_if_full)


def _is_doubted() -> bool:
    return not silence.lasts and time.monotonic() - _answered_at >= DOUBTED_AFTER


def _ring(task: Task, id: str, even_if_full: bool) -> bool:
    global _answered_at
    with _together:
        if silence.lasts:
            return False
        try:
            if not even_if_full and _is_full(queue_of(task)):
                return False
            get_celery().send_task(task, args=[id], retry=False)
        except OperationalError as error:
            silence.begin(error)
            return False
    _answered_at = time.monotonic()
    return True


def enqueue_on_commit(session: Session, task: Task, id: str) -> None:
    event.listen(session, "after_commit", lambda _: enqueue(task, id), once=True)
