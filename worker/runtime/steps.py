"""A step of any row: claim, ask, record, in two transactions with the network between them."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from shared.database import transaction
from shared.db.claims import claim, release, renew, still_held
from shared.db.row_security import narrow
from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.settings import get_settings
from worker.providers.errors import ProviderError
from worker.runtime import heartbeat

log = structlog.get_logger(__name__)

Row = TypeVar("Row", bound=DueTable | OwnedDue)
Plan = TypeVar("Plan")
Answer = TypeVar("Answer")
Piece = TypeVar("Piece")

RENEW_EVERY = 1.0  # seconds
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)  # seconds: a transaction of ours is shorter, also on a busy machine


@dataclass(frozen=True)
class Step(Generic[Row, Plan, Answer]):
    """What one kind of row does when it is due.

    `plan` reads what is needed, in the claim's transaction; None means that nothing has to be asked, and that it has
    released the row. `ask` goes out to the network, and may raise `ProviderError`. `record` writes down the answer or
    that error, and releases the row. `give_up` ends a row whose steps keep failing in a way that nobody foresaw.
    """

    model: type[Row]
    plan: Callable[[Session, Row], Plan | None]
    ask: Callable[[Plan], Answer]
    record: Callable[[Session, Row, Plan, Answer | ProviderError], None]
    give_up: Callable[[Session, Row], None]


class NotNow(Exception):
    """Raised by a plan that finds no time for the row: it is as if nobody had claimed it.

    With `until` it is due again then; without, whoever raises it has seen to that.
    """

    def __init__(self, until: datetime | None = None) -> None:
        super().__init__(until)
        self.until = until


class LeaseLost(Exception):
    """Another may have the row by now: what is still under way would come too late."""


class Lease(Generic[Row]):
    """Keeps a claimed row as long as its step makes headway, however long that takes.

    `renew` is called with every bit of headway, and writes about once a second, in a transaction of its own: a worker
    that is killed, or hangs, loses the row one lease after its last word. Raises `LeaseLost` if it had lost it before.
    """

    def __init__(self, claimed: Row) -> None:
        self._claimed = claimed
        self._next = time.monotonic() + RENEW_EVERY

    def renew(self, note: Callable[[Session, Row], None] | None = None) -> None:
        """`note` writes down how far the step is, in the same transaction."""
        if time.monotonic() < self._next:
            return
        with transaction(_project_of(self._claimed)) as session:
            held = renew(session, self._claimed, get_settings().lease)
            if held is None:
                raise LeaseLost
            if note is not None:
                note(session, held)
        self._claimed.due_at = held.due_at
        self._next = time.monotonic() + RENEW_EVERY

    def through(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The pieces as they come, each of which is headway."""
        for piece in pieces:
            self.renew()
            yield piece


def run(step: Step[Row, Plan, Answer], id: str) -> None:
    """Take one step of the row with this id, if it is due and nobody has it.

    Somebody who is just changing the row is waited for, though not for long: the next ring may be seconds away.
    """
    for pause in PAUSES:
        if run_one(step, col(step.model.id) == id) or not _is_due(step.model, id):
            return
        time.sleep(pause)


def _is_due(model: type[Row], id: str) -> bool:
    with transaction() as session:
        return session.exec(select(model.id).where(model.id == id, col(model.due_at) <= utc_now())).first() is not None


def run_one(step: Step[Row, Plan, Answer], which: ColumnElement[bool]) -> bool:
    """Take one step of that row of these which is due longest; whether there was one to be had."""
    claimed: Row | None = None
    id = ""
    try:
        with transaction() as session:
            row = claim(session, step.model, which, get_settings().lease)
            id = row.id if row is not None else ""
            plan = _plan(session, step, row) if row is not None else None
        claimed = row
        if claimed is None or plan is None:
            return claimed is not None
        with heartbeat.told_to(Lease(claimed).renew):
            answer = _ask(step, plan)
        with transaction(_project_of(claimed)) as session:
            held = still_held(session, claimed)
            if held is None:
                log.warning("the lease ran out, the answer is dropped", row=id)
                return True
            step.record(session, held, plan, answer)
            enqueue_if_due(session, held)
    except NotNow as later:
        if later.until is not None:
            _put_off(step, id, later.until)
    except LeaseLost:
        log.warning("the lease ran out, the step is given up", row=id)
    except Exception:
        log.exception("the step failed", row=id)
        _postpone(step, id, claimed)
    return True


def _project_of(row: DueTable | OwnedDue) -> str | None:
    """Whose row it is; None for one of the deployment, whose step works across projects."""
    return getattr(row, "project_id", None)


def _plan(session: Session, step: Step[Row, Plan, Answer], row: Row) -> Plan | None:
    """The claim was made among all projects' rows; from here on only those of the row's own are there."""
    if (project_id := _project_of(row)) is not None:
        narrow(session, project_id)
    if row.failures > get_settings().max_step_failures:
        log.error("the steps of this row keep failing, it is given up", row=row.id, failures=row.failures)
        step.give_up(session, row)
        return None
    return step.plan(session, row)


def _ask(step: Step[Row, Plan, Answer], plan: Plan) -> Answer | ProviderError:
    try:
        return step.ask(plan)
    except ProviderError as error:
        return error
    except FileNotFoundError:
        raise
    except OSError as error:
        log.error("the storage cannot be reached", reason=str(error))
        return ProviderError("our storage cannot be reached", "storage_unavailable", retryable=True)


def enqueue_if_due(session: Session, row: DueTable | OwnedDue) -> None:
    """A next step that is due already need not wait for the sweep."""
    if row.due_at is not None and row.due_at <= utc_now():
        row.enqueued_at = utc_now()
        row.enqueue_on_commit(session)


def _put_off(step: Step[Row, Plan, Answer], id: str, until: datetime) -> None:
    """Let a row that nobody has wait, whoever rings for it, and count nothing."""
    with transaction() as session:
        row = claim(session, step.model, col(step.model.id) == id, timedelta())
        if row is not None:
            row.due_at, row.failures = until, row.failures - 1


def reference(id: str) -> str:
    """What an operator finds all about a row that was given up by: its id, and that of its last task."""
    task_id = structlog.contextvars.get_contextvars().get("task_id")
    return f"{id} (task {task_id})" if task_id else id


def _postpone(step: Step[Row, Plan, Answer], id: str, claimed: Row | None) -> None:
    """Let a failed step be tried again later. It stays counted, and a lease that another holds is left alone.

    `claimed` is None when the plan failed, and the claim with it: then it is counted here.
    """
    with transaction() as session:
        row = still_held(session, claimed) if claimed is not None else None
        row = row or claim(session, step.model, col(step.model.id) == id, timedelta())
        if row is not None:
            row.due_at, row.enqueued_at = utc_now() + backoff(row.failures), None


def backoff(count: int, retry_after: timedelta | None = None) -> timedelta:
    """Doubling from `retry_base` to `retry_cap`, ±20 %; not before what the far side asked for, up to an hour."""
    settings = get_settings()
    wait = min(settings.retry_cap, settings.retry_base * 2.0 ** min(count, 20))
    asked_for = min(retry_after or timedelta(), timedelta(hours=1))
    return max(wait * (0.8 + 0.4 * secrets.randbelow(1001) / 1000), asked_for)


def try_again(row: DueTable | OwnedDue, error: ProviderError) -> None:
    """The far side could not answer for now."""
    log.warning("the provider will be asked again", row=row.id, code=error.code, reason=error.message)
    release(row, utc_now() + backoff(row.retries, error.retry_after))
    row.retries += 1


def after(wait: timedelta) -> datetime:
    return utc_now() + wait
