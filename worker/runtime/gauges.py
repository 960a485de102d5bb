"""What the scheduler alone shows: the state of the queue, the jobs, the accounts, the money and the disks.

It is asked for at each scrape, but at most every `EVERY_SECONDS`, so that it costs the same whoever scrapes how often.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import psycopg
from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from shared.broker.queue import DELIVERIES, WORK, lengths
from shared.database import transaction
from shared.datasets.validation.rules import fitness
from shared.jobs.creation.fitness import shutdown_of
from shared.jobs.queue.models import JobQueue
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.runtime import gauge_queries
from worker.runtime.health import connect

EVERY_SECONDS = 15.0
RETIRES_WITHIN = timedelta(days=90)
REGISTRY = CollectorRegistry()


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(name, meaning, labels, registry=REGISTRY)


GAUGES = {
    "tunery_up": _gauge("tunery_up", "1 if the scheduler reached it, 0 if not.", "dependency"),
    "tunery_due_rows": _gauge("tunery_due_rows", "Rows whose next step is due.", "table"),
    "tunery_due_seconds": _gauge("tunery_due_seconds", "For how long the first of them has been due.", "table"),
    "tunery_tried_rows": _gauge("tunery_tried_rows", "Rows that were taken three times and recorded no step.", "table"),
    "tunery_queue_messages": _gauge("tunery_queue_messages", "Wake-up messages that no worker has taken.", "queue"),
    "tunery_open_jobs": _gauge("tunery_open_jobs", "Jobs that have not ended.", "status"),
    "tunery_open_job_seconds": _gauge("tunery_open_job_seconds", "The age of the oldest of them.", "status"),
    "tunery_waiting_jobs": _gauge("tunery_waiting_jobs", "Jobs that wait for a slot.", "model"),
    "tunery_waiting_job_seconds": _gauge("tunery_waiting_job_seconds", "The age of the oldest of them.", "model"),
    "tunery_accounts": _gauge("tunery_accounts", "Accounts at providers.", "account", "state"),
    "tunery_spend_dollars": _gauge("tunery_spend_dollars", "This month's spend, and what is reserved.", "kind"),
    "tunery_budgets": _gauge("tunery_budgets", "Projects with a spend limit.", "state"),
    "tunery_model_retires_seconds": _gauge(
        "tunery_model_retires_seconds", "Until a model of the queues retires, if that is within 90 days.", "model"
    ),
    "tunery_table_bytes": _gauge("tunery_table_bytes", "The size of the largest tables, indexes included.", "table"),
    "tunery_storage_bytes": _gauge("tunery_storage_bytes", "The disk that a folder of datasets is on.", "state"),
}


class Gathered:
    """The text of the gauges, and when it was made. Several may ask at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text, self._until = b"", 0.0

    def text(self) -> bytes:
        with self._lock:
            if time.monotonic() >= self._until:
                _gather()
                self._text, self._until = generate_latest(REGISTRY), time.monotonic() + EVERY_SECONDS
            return self._text


def _gather() -> None:
    """What cannot be reached leaves its gauges empty."""
    for gauge in GAUGES.values():
        gauge.clear()
    _note("postgres", _ask_postgres)
    _note("redis", _ask_redis)
    _measure_storage()


def _note(dependency: str, asks: Callable[[], None]) -> None:
    is_up = 0
    with suppress(psycopg.Error, SQLAlchemyError, OperationalError):
        asks()
        is_up = 1
    GAUGES["tunery_up"].labels(dependency).set(is_up)


def _ask_postgres() -> None:
    with connect() as connection:
        answers = gauge_queries.ask(connection)
    for question, rows in answers.items():
        width = len(question.gauges)
        for row in rows:
            for name, value in zip(question.gauges, row[-width:], strict=True):
                GAUGES[name].labels(*row[:-width]).set(float(value))
    for model, left in _retiring():
        GAUGES["tunery_model_retires_seconds"].labels(model).set(left.total_seconds())


def _retiring() -> Iterator[tuple[str, timedelta]]:
    """The models that have had jobs, and how long they stay."""
    with transaction() as session:
        query = select(JobQueue.model, Credential).join(Credential, col(Credential.id) == JobQueue.credential_id)
        used = session.exec(query.where(col(Credential.deleted_at).is_(None)).limit(gauge_queries.MOST)).all()
    for model, credential in used:
        day = shutdown_of(credential, model)
        if day is not None and timedelta() <= (left := day - fitness.today()) <= RETIRES_WITHIN:
            yield model, left


def _ask_redis() -> None:
    counts = lengths()
    for queues in (WORK, (DELIVERIES,)):
        GAUGES["tunery_queue_messages"].labels(queues[0]).set(sum(counts[queue] for queue in queues))


def _measure_storage() -> None:
    """A bucket has no end."""
    with suppress(OSError):
        disk = shutil.disk_usage(get_settings().storage)
        GAUGES["tunery_storage_bytes"].labels("free").set(disk.free)
        GAUGES["tunery_storage_bytes"].labels("total").set(disk.total)
