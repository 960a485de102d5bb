"""Runs one step of a row: claim, call, record, in two transactions with the network call between them."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog
from sqlalchemy import ColumnElement
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session, col, select

from shared.database import NOT_MIGRATED, lacks_migrations, lost_deadlock, transaction
from shared.db.claims import claim, release, renew, still_held
from shared.db.row_security import limit_to_project
from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.metrics.instruments import STEP_SECONDS, StepOutcome
from shared.settings import get_settings
from shared.telemetry import spans
from worker.runtime import heartbeat, shares
from worker.runtime.errors import LeaseLost, NotNow, StepError

log = structlog.get_logger(__name__)

Row = TypeVar("Row", bound=DueTable | OwnedDue)
Plan = TypeVar("Plan")
Answer = TypeVar("Answer")
Piece = TypeVar("Piece")

LEASE_RENEWAL_SECONDS = 1.0  # between two writes of a lease
# Between attempts to claim a locked row. In all they outlast every transaction of ours, on a busy machine too.
CLAIM_RETRY_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4)
MAX_RETRY_AFTER = timedelta(hours=1)  # a longer wish of the other side would hold a row for as long as it likes


@dataclass(frozen=True)
class Step(Generic[Row, Plan, Answer]):
    """What one kind of row does when it is due.

    `plan` reads the row's inputs in the transaction that claims it; it returns None if there is nothing to call, after
    releasing the row. `call` goes out to the network with no transaction open; it may raise `StepError`. `record`
    writes the answer, or that error, and releases the row. `give_up` ends a row whose steps have raised other
    exceptions more than `max_step_failures` times. `is_heavy`: whether the call may take long.
    """

    model: type[Row]
    plan: Callable[[Session, Row], Plan | None]
    call: Callable[[Plan], Answer]
    record: Callable[[Session, Row, Plan, Answer | StepError], None]
    give_up: Callable[[Session, Row], None]
    is_heavy: Callable[[Plan], bool] = lambda _: False


class Lease(Generic[Row]):
    """Keeps a claimed row for as long as its step makes progress.

    A long step calls `renew` often: a worker that is killed or hangs loses the row one lease after its last call.
    """

    def __init__(self, claimed: Row) -> None:
        self._claimed = claimed
        self._next = time.monotonic() + LEASE_RENEWAL_SECONDS

    def renew(self, note: Callable[[Session, Row], None] | None = None) -> None:
        """Extend the lease, or raise `LeaseLost`. `note` can write the step's progress in the same transaction."""
        if time.monotonic() < self._next:
            return
        with transaction(_project_of(self._claimed)) as session:
            held = renew(session, self._claimed, get_settings().lease)
            if held is None:
                raise LeaseLost
            if note is not None:
                note(session, held)
        self._claimed.due_at = held.due_at
        self._next = time.monotonic() + LEASE_RENEWAL_SECONDS

    def through(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield each piece and renew the lease before it."""
        for piece in pieces:
            self.renew()
            yield piece


def run(step: Step[Row, Plan, Answer], id: str) -> None:
    """Run one step of the row with this id, if the row is due and free.

    One that is locked is tried again for up to 0.8 s: the sweep that would enqueue it again may be seconds away.
    """
    for pause in CLAIM_RETRY_SECONDS:
        if run_one(step, col(step.model.id) == id) or not _is_due(step.model, id):
            return
        time.sleep(pause)


def _is_due(model: type[Row], id: str) -> bool:
    with transaction() as session:
        return session.exec(select(model.id).where(model.id == id, col(model.due_at) <= utc_now())).first() is not None


def run_one(step: Step[Row, Plan, Answer], which: ColumnElement[bool]) -> bool:
    """Run one step of the row matching `which` that has been due longest. Returns whether a row could be claimed."""
    began = time.monotonic()
    with spans.step(str(step.model.__tablename__)):
        if (outcome := _run_one(step, which)) is not None:
            spans.describe({"tunery.outcome": outcome})
    if outcome is not None:
        STEP_SECONDS.labels(step.model.__tablename__, outcome).observe(time.monotonic() - began)
    return outcome is not None


def _run_one(step: Step[Row, Plan, Answer], which: ColumnElement[bool]) -> StepOutcome | None:
    """How the step ended; None if no row could be claimed."""
    claimed: Row | None = None
    id = ""
    try:
        with transaction() as session:
            row = claim(session, step.model, which, get_settings().lease)
            id = row.id if row is not None else ""
            plan = _plan(session, step, row) if row is not None else None
        if (claimed := row) is None or plan is None:
            spans.compare(row)
            return None if row is None else StepOutcome.NO_CALL
        with heartbeat.received_by(Lease(claimed).renew):
            answer = _call(step, plan)
        record(step, claimed, plan, answer)
        return StepOutcome.CALL_FAILED if isinstance(answer, StepError) else StepOutcome.DONE
    except NotNow as later:
        if later.until is not None:
            _put_off(step, id, later.until)
        if isinstance(later, shares.NoSlot):
            time.sleep(shares.PATIENCE_SECONDS)  # else thousands of due rows would be claimed in vain, round and round
        return StepOutcome.PUT_OFF
    except LeaseLost:
        log.warning("the lease ran out: the step stops, or its answer is dropped", row=id)
        return StepOutcome.LEASE_LOST
    except Exception as error:
        record_failure(step, id, claimed, error)
        return StepOutcome.FAILED
    finally:
        shares.leave_slot()


def record(step: Step[Row, Plan, Answer], claimed: Row, plan: Plan, answer: Answer | StepError) -> None:
    """Write the answer of a claimed row's call. Raises `LeaseLost`."""
    with transaction(_project_of(claimed)) as session:
        if (held := still_held(session, claimed)) is None:
            raise LeaseLost
        was_woken = held.enqueued_at != claimed.enqueued_at
        step.record(session, held, plan, answer)
        spans.compare(held)
        if was_woken and held.due_at is not None:
            held.due_at = utc_now()  # of what came during the call, the step may have seen nothing
        enqueue_if_due(session, held)


def _project_of(row: DueTable | OwnedDue) -> str | None:
    """The row's project; None for a row of the deployment, whose step reads the rows of all projects."""
    return getattr(row, "project_id", None)


def _plan(session: Session, step: Step[Row, Plan, Answer], row: Row) -> Plan | None:
    """Plan the step. The claim saw the rows of all projects; from here on only the row's own project is visible."""
    spans.claimed(row)
    if (project_id := _project_of(row)) is not None:
        limit_to_project(session, project_id)
    if row.failures > get_settings().max_step_failures:
        log.error("the steps of this row keep failing: it is given up", row=row.id, failures=row.failures)
        step.give_up(session, row)
        return None
    shares.take_slot(owner := shares.owner_of(session, row))
    plan = step.plan(session, row)
    if plan is not None and step.is_heavy(plan):
        shares.take_slot(owner, is_heavy=True)
    return plan


def _call(step: Step[Row, Plan, Answer], plan: Plan) -> Answer | StepError:
    try:
        return step.call(plan)
    except StepError as error:
        spans.describe({}, error=error.code)
        return error
    except FileNotFoundError:  # bytes that a row promises are gone: a fault of ours, which waiting does not mend
        raise
    except OSError as error:
        log.error("the storage cannot be reached", reason=str(error))
        return StepError("our storage cannot be reached", "storage_unavailable", retryable=True)


def enqueue_if_due(session: Session, row: DueTable | OwnedDue) -> None:
    """Wake a worker for a next step that is due already, so that it need not wait for the sweep."""
    if row.due_at is not None and row.due_at <= utc_now():
        row.enqueued_at = utc_now()
        row.enqueue_on_commit(session)


def _put_off(step: Step[Row, Plan, Answer], id: str, until: datetime) -> None:
    """Delay a row that nobody holds. The failure that claiming counts is taken back."""
    with transaction() as session:
        if (row := claim(session, step.model, col(step.model.id) == id, timedelta())) is not None:
            row.due_at, row.failures = until, row.failures - 1


def record_failure(step: Step[Row, Plan, Answer], id: str, claimed: Row | None, error: Exception) -> None:
    """Log what a step has raised, and schedule it again; without the schema, the sweep does that once it is there."""
    ids = {"row": id} if id else {}  # before the row is claimed, the id that the task was given stays in the log
    if isinstance(error, ProgrammingError) and lacks_migrations(error):
        log.warning(f"{NOT_MIGRATED}; the step is repeated after it", **ids)
        return
    if lost_deadlock(error):
        log.warning("the step gave way to another transaction and is repeated", **ids)
    else:
        log.error("the step failed", **ids, exc_info=error)
    spans.describe({}, error=type(error).__name__)
    _postpone(step, id, claimed)


def _postpone(step: Step[Row, Plan, Answer], id: str, claimed: Row | None) -> None:
    """Schedule a step that has raised again, and keep its failure counted. A lease of another worker is not touched.

    `claimed` is None when the plan raised: that rolled the claim and its count back, so the row is claimed once more.
    """
    with transaction() as session:
        held = claimed and still_held(session, claimed)
        if (row := held or claim(session, step.model, col(step.model.id) == id, timedelta())) is not None:
            row.due_at, row.enqueued_at = utc_now() + backoff(row.failures), None


def backoff(count: int, retry_after: timedelta | None = None) -> timedelta:
    """How long to wait after `count` failures: doubling from `retry_base` to `retry_cap`, ±20 %.

    Never shorter than `retry_after`, of which at most an hour is respected.
    """
    settings = get_settings()
    wait = min(settings.retry_cap, settings.retry_base * 2.0 ** min(count, 20))
    return max(wait * (0.8 + 0.4 * secrets.randbelow(1001) / 1000), min(retry_after or timedelta(), MAX_RETRY_AFTER))


def try_again(row: DueTable | OwnedDue, error: StepError) -> None:
    """Release the row until its back-off after a retryable error is over."""
    log.warning("the call failed and will be repeated", row=row.id, code=error.code, reason=error.message)
    release(row, utc_now() + backoff(row.retries, error.retry_after))
    row.retries += 1


def after(wait: timedelta) -> datetime:
    return utc_now() + wait
