"""The scheduler process (`tunery beat`): sweeps twice a second, tidies and forgets what is old once an hour.

Two of them do no harm.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlmodel import Session, col

from shared import idempotency, sweeps
from shared.broker.queue import Task, circuit_breaker, enqueue_on_commit
from shared.budgets import accruals
from shared.database import NOT_MIGRATED, lacks_migrations, limit_connections, lost_deadlock, transaction
from shared.datasets import uploads
from shared.datasets.storage import store
from shared.db import connections
from shared.db.times import utc_now
from shared.jobs.thinning import thin_metrics
from shared.key_rotation.startup_check import check_keys_of_server
from shared.log import set_up_logging, stop_with
from shared.metrics import exposition
from shared.metrics.instruments import SWEEP_SECONDS
from shared.notifications import service as notifications
from shared.projects.models import Credential
from shared.projects.service import default_credential
from shared.settings import get_settings
from shared.telemetry import error_reports
from shared.webhooks import upkeep
from worker.runtime import gauges, health
from worker.runtime.sweep import sweep

NOTE_INTERVAL_SECONDS = 5.0  # between two notes in `sweeps`, by which health checks see that the scheduler runs
TIDY_EVERY = timedelta(hours=1)
FORGET_SECONDS = 0.5  # of one round, so that the sweep is not held up for long
FORGET_AGAIN_AFTER = timedelta(seconds=2)  # if there was more to forget than one round takes
RECONCILE_EVERY = timedelta(days=1)
log = structlog.get_logger(__name__)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    set_up_logging()
    limit_connections(connections.OF_STEP)
    error_reports.start("beat")
    check_keys_of_server()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    exposition.introduce("beat")
    try:
        health.serve(get_settings().health_address, gauges.Gathered().text)
    except OSError as error:
        stop_with(health.cannot_listen(error))
    log.info("the scheduler has started")
    scheduler = Scheduler()
    while not stop.wait(get_settings().sweep_every.total_seconds()):
        scheduler.run_round()
    log.info("the scheduler has stopped")


class Scheduler:
    """Sweeps in each round; notes, tidies and forgets when their times have come."""

    def __init__(self) -> None:
        self._tidy_at = self._forget_at = self._note_at = time.monotonic()
        self._trouble: str | None = None

    def run_round(self) -> None:
        """Never raises. A trouble that lasts is logged when it begins and when it is over."""
        began, outcome = time.monotonic(), "failed"
        try:
            self._run()
            outcome = "done"
        except OperationalError as error:
            if lost_deadlock(error):
                log.warning("the sweep gave way to another transaction and is repeated")
                return
            self._log_trouble("Postgres cannot be reached: the sweep is repeated", reason=str(error.orig))
        except ProgrammingError as error:
            if not lacks_migrations(error):
                log.exception("the sweep failed and is repeated")
                return
            self._log_trouble(f"{NOT_MIGRATED}; the sweep is repeated")
        except Exception:
            log.exception("the sweep failed and is repeated")
        else:
            if (
                self._trouble is not None and not circuit_breaker.is_open
            ):  # without Redis a sweep does not reach Postgres
                log.info("the sweep succeeds again")
                self._trouble = None
        finally:
            SWEEP_SECONDS.labels(outcome).observe(time.monotonic() - began)

    def _run(self) -> None:
        sweep()
        if time.monotonic() >= self._note_at:
            self._note_at = time.monotonic() + NOTE_INTERVAL_SECONDS
            note_sweep()
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY.total_seconds()
            tidy()
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + TIDY_EVERY.total_seconds()  # also if it fails
            if forget():
                self._forget_at = time.monotonic() + FORGET_AGAIN_AFTER.total_seconds()

    def _log_trouble(self, sentence: str, **details: str) -> None:
        if sentence != self._trouble:
            log.error(sentence, **details)
        self._trouble = sentence


def note_sweep() -> None:
    """Record the time of a sweep, so that workers can report that the scheduler has stopped."""
    with transaction() as session:
        sweeps.record_sweep(session)


def tidy() -> None:
    """Do the hourly work: make the default account known, start the daily reconciliation, notify of expiring keys,
    disable failing endpoints, and remove stored bytes that belong to no row."""
    with transaction() as session:
        default_credential(session)
    _reconcile()
    with transaction() as session:
        upkeep.notify_expiring_keys(session)
    with transaction() as session:
        upkeep.disable_failing(session)
    for name in store.remove_leftovers(_known):
        log.info("removed the bytes of an unfinished upload", name=name)


def _reconcile() -> None:
    """Enqueue the reconciliation of each account once a day. If the message is lost, it waits for the next day."""
    long_ago = or_(col(Credential.reconciled_at).is_(None), col(Credential.reconciled_at) < utc_now() - RECONCILE_EVERY)
    with transaction() as session:
        there = col(Credential.deleted_at).is_(None)
        due = update(Credential).where(there, long_ago).values(reconciled_at=utc_now()).returning(Credential)
        for credential in session.exec(due).scalars():
            enqueue_on_commit(session, Task.RECONCILE_CREDENTIAL, credential.id, credential.project_id)


def forget() -> bool:
    """Delete and thin what is older than the settings say, and enter days that are over in the ledger, for
    `FORGET_SECONDS`. Returns whether there may be more."""
    end = time.monotonic() + FORGET_SECONDS
    for forget_batch, before in _old():
        while _run_batch(forget_batch, before) > 0:
            if time.monotonic() >= end:
                return True
    return False


def _run_batch(forget_batch: Callable[[Session, datetime], int], before: datetime) -> int:
    with transaction() as session:
        return forget_batch(session, before)


def _old() -> Iterator[tuple[Callable[[Session, datetime], int], datetime]]:
    """What forgets a batch of rows from before the time beside it, and returns how many."""
    settings, now = get_settings(), utc_now()
    yield accruals.post, now - accruals.POST_AFTER
    for forget_batch in (*upkeep.FORGET, notifications.forget):
        yield forget_batch, now - settings.webhook_retention
    yield idempotency.delete_before, now - settings.idempotency_lifetime
    if settings.retention.metrics is not None:
        yield thin_metrics, now - settings.retention.metrics


def _known(ids: list[str]) -> set[str]:
    with transaction() as session:
        return uploads.known_ids(session, ids)


if __name__ == "__main__":
    main()
