"""The clock: sweeps every half second or so, without needing the broker or a worker to do it. Two are harmless."""

import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from shared import idempotency, sweeps
from shared.broker.queue import Task, enqueue_on_commit
from shared.database import transaction
from shared.datasets import uploads
from shared.datasets.storage import store
from shared.db.times import utc_now
from shared.key_rotation.startup_check import check_keys
from shared.log import set_up_logging
from shared.notifications import service as notifications
from shared.projects.models import Credential
from shared.projects.service import default_credential
from shared.settings import get_settings
from shared.webhooks import upkeep
from worker.runtime.sweep import sweep

NOTE_EVERY = 5.0  # seconds
TIDY_EVERY = timedelta(hours=1)
RECONCILE_EVERY = timedelta(days=1)
GO_ON_AFTER = timedelta(seconds=10)
BATCHES = 20
log = structlog.get_logger(__name__)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    set_up_logging()
    check_keys()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("the beat has started")
    tidy_at = note_at = time.monotonic()
    while not stop.wait(get_settings().sweep_every.total_seconds()):
        try:
            sweep()
            if time.monotonic() >= note_at:
                note_at = time.monotonic() + NOTE_EVERY
                note_sweep()
            if time.monotonic() >= tidy_at:
                tidy_at = time.monotonic() + TIDY_EVERY.total_seconds()
                if tidy():
                    tidy_at = time.monotonic() + GO_ON_AFTER.total_seconds()
        except OperationalError as error:
            log.error("Postgres cannot be reached, the sweep is tried again", reason=str(error.orig))
        except Exception:
            log.exception("the sweep failed, it is tried again")
    log.info("the beat has stopped")


def note_sweep() -> None:
    """So that workers see when nobody sweeps any more."""
    with transaction() as session:
        sweeps.record_sweep(session)


def tidy() -> bool:
    """Know the provider's account, look after the webhooks, forget what is old, remove bytes of which no row knows.

    Whether there is more to forget than leaves the sweep its time.
    """
    with transaction() as session:
        default_credential(session)
    _reconcile()
    with transaction() as session:
        upkeep.tell_expiring_keys(session)
    with transaction() as session:
        upkeep.disable_failing(session)
    is_more = _forget()
    for name in store.remove_leftovers(_known):
        log.info("removed what an unfinished upload left", name=name)
    return is_more


def _reconcile() -> None:
    """Let a worker compare each account with what we know, once a day. One whose message is lost waits for the next."""
    long_ago = or_(col(Credential.reconciled_at).is_(None), col(Credential.reconciled_at) < utc_now() - RECONCILE_EVERY)
    with transaction() as session:
        there = col(Credential.deleted_at).is_(None)
        due = update(Credential).where(there, long_ago).values(reconciled_at=utc_now()).returning(col(Credential.id))
        for credential_id in session.exec(due).scalars():
            enqueue_on_commit(session, Task.RECONCILE_CREDENTIAL, credential_id)


def _forget() -> bool:
    settings = get_settings()
    forgetting = (*upkeep.FORGET, notifications.forget)
    old = [_in_batches(forget, utc_now() - settings.webhook_retention) for forget in forgetting]
    return any([*old, _in_batches(idempotency.delete_before, utc_now() - settings.idempotency_lifetime)])


def _in_batches(forget: Callable[[Session, datetime], int], before: datetime) -> bool:
    """Whether there may be more."""
    for _ in range(BATCHES):
        with transaction() as session:
            forgotten = forget(session, before)
        if forgotten == 0:
            return False
    return True


def _known(ids: list[str]) -> set[str]:
    with transaction() as session:
        return uploads.known_ids(session, ids)


if __name__ == "__main__":
    main()
