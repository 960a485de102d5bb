"""The Celery application, and what each process of a worker or sender does when it starts, has a task, and stops."""

import gc
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from celery import platforms, signals
from celery.concurrency import get_implementation, prefork
from celery.exceptions import WorkerShutdown
from celery.utils.log import get_multiprocessing_logger
from celery.worker import state
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from shared.broker.queue import get_celery
from shared.database import get_engine, limit_connections, transaction
from shared.datasets.models import ProviderFile
from shared.db import connections
from shared.db.claims import claim
from shared.due_tables import DUE
from shared.jobs.models import Job, Watch
from shared.key_rotation.startup_check import check_keys_of_server
from shared.log import set_up_logging
from shared.metrics import exposition
from shared.metrics.instruments import WAIT_SECONDS
from shared.settings import get_settings
from shared.telemetry import error_reports, spans
from worker.runtime import health, kombu_qos

log = structlog.get_logger(__name__)
STOP_WITHIN = 20.0  # seconds that running steps have to end after the worker got its stop signal

kombu_qos.install()
app = get_celery()
# A worker waits for messages, a request must not wait.
app.conf.broker_transport_options |= {
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
    "max_retries": 1,
    "interval_start": 0,
}


@signals.setup_logging.connect
def _log(**_: object) -> None:
    """Also lets the pool of processes speak: that it replaces one which has used too much memory, only it knows."""
    set_up_logging()
    if (pool := get_multiprocessing_logger()) is not None:
        pool.propagate = True
        pool.setLevel(logging.WARNING)


@signals.celeryd_init.connect
def _log_from_the_first_line(**_: object) -> None:
    """Celery warns of things before it sends `setup_logging`."""
    set_up_logging()


@signals.worker_init.connect
def _begin_to_observe(sender: Any, **_: object) -> None:
    """Before anything is counted. A child counts at its place in the pool, which the next child there goes on with."""
    if get_implementation(sender.pool_cls) is prefork.TaskPool:
        exposition.share(os.getpid(), "main")
        exposition.introduce("worker")
        spans.load()
        error_reports.start("worker")
    else:
        exposition.introduce("sender")
        spans.start("sender")
        error_reports.start("sender")


@signals.worker_init.connect
def _limit_connections(sender: Any, **_: object) -> None:
    """Of a worker each child's, which it inherits; of a sender all that its threads share."""
    has_children = get_implementation(sender.pool_cls) is prefork.TaskPool
    limit_connections(connections.OF_STEP if has_children else connections.of_sender_pool(sender.concurrency))


@signals.worker_init.connect
def _check_keys(**_: object) -> None:
    check_keys_of_server()


@signals.worker_init.connect
def _prepare_for_children(**_: object) -> None:
    """Once, what each child would do for itself: it takes one 0.04 s to learn how a row is claimed, and 0.1 s to look
    for garbage through all that it shares with its parent. To collect first would take 0.15 s, and free next to
    nothing."""
    gc.enable()  # which `worker.__main__` has put off
    with suppress(SQLAlchemyError), transaction() as session:
        for model in (Job, ProviderFile, Watch):
            claim(session, model, col(model.id) == "", timedelta())
    get_engine().dispose()  # a worker's first process asks Postgres nothing more by its pool
    gc.freeze()


@signals.worker_ready.connect
def _serve_health(**_: object) -> None:
    health.watch_scheduler()
    try:
        health.serve(get_settings().health_address)
    except OSError as error:
        log.critical(health.cannot_listen(error))
        raise WorkerShutdown(1) from None


@signals.worker_shutdown.connect
def _say_the_end(**_: object) -> None:
    exposition.stop_sharing()
    spans.stop()
    error_reports.stop()
    log.info("the worker has stopped")


@signals.worker_shutting_down.connect
def _stop_in_time(how: str, **_: object) -> None:
    """Nothing is begun any more. What takes too long to end is broken off: others go on when its lease has run out."""
    if how == "Warm":
        breaks_off = threading.Timer(STOP_WITHIN, _break_off)
        breaks_off.daemon = True
        breaks_off.start()


def _break_off() -> None:
    """A step that is broken off has not failed: the failure that claiming counts is taken back.

    Else a long step would be given up that a deployment or a scaler stops again and again.
    """
    ids = [request.args[0] for request in tuple(state.active_requests)]
    try:
        with transaction() as session:
            for model in DUE:
                counted = update(model).where(col(model.id).in_(ids), col(model.failures) > 0)
                session.exec(counted.values(failures=col(model.failures) - 1))
    except SQLAlchemyError as error:
        log.warning("steps that are broken off count as failed", rows=ids, reason=str(error))
    finally:
        os.kill(os.getpid(), signal.SIGQUIT)


@signals.worker_process_init.connect
def _own_connections(**_: object) -> None:
    """A child must not share its parent's connections to Postgres."""
    get_engine().dispose(close=False)
    exposition.take_place(f"child{vars(platforms)['current_process']().index}")
    spans.start("worker")
    error_reports.start("worker")


@signals.worker_process_shutdown.connect
def _end_child(**_: object) -> None:
    spans.stop()
    error_reports.stop()


@signals.task_prerun.connect
def _bind(task_id: str, task: Any, args: tuple[str, ...], **_: object) -> None:
    if sent_at := task.request.get("sent_at"):
        WAIT_SECONDS.labels(task.name).observe(max(0.0, time.time() - sent_at))
    owner = {"project_id": project_id} if (project_id := task.request.get("project_id")) else {}
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name, row=args[0], **owner)


@signals.task_postrun.connect
def _unbind(**_: object) -> None:
    structlog.contextvars.clear_contextvars()
