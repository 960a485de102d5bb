"""Reads the ledger: sums of a month, a job's reservation, and lists of entries."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlmodel import Session, col, func, select

from shared.budgets.models import CURRENCY, DailySum, Kind, LedgerEntry
from shared.db.owned import list_owned
from shared.db.times import utc_now
from shared.projects import service as projects

ESTIMATED = (Kind.RESERVE, Kind.RELEASE)


def month_of(time: datetime) -> date:
    """Return the first day of the calendar month in UTC."""
    return time.astimezone(UTC).date().replace(day=1)


def this_month() -> date:
    return month_of(utc_now())


@dataclass(frozen=True)
class Sums:
    """What a project has spent in a month, and what is reserved for jobs that have not ended."""

    spent: Decimal
    reserved: Decimal

    @property
    def committed(self) -> Decimal:
        return self.spent + self.reserved


def sums(session: Session, project_id: str, month: date) -> Sums:
    """Return the sums that count for the month's limit."""
    query = (
        select(DailySum.is_reserved, func.sum(DailySum.amount))
        .where(DailySum.project_id == project_id, DailySum.month == month, DailySum.currency == CURRENCY)
        .group_by(col(DailySum.is_reserved))
    )
    found: dict[bool, Decimal] = dict(session.exec(query).all())
    return Sums(spent=found.get(False, Decimal()), reserved=found.get(True, Decimal()))


def reservation_of(session: Session, job_id: str) -> tuple[LedgerEntry, Decimal] | None:
    """Return the entry that reserved a job's estimate, and the amount still reserved; None if there is none."""
    of_job = LedgerEntry.job_id == job_id, col(LedgerEntry.kind).in_(ESTIMATED)
    entries = session.exec(select(LedgerEntry).where(*of_job).order_by(LedgerEntry.id)).all()
    return (entries[0], sum((entry.amount for entry in entries), Decimal())) if entries else None


def hour_reserved(session: Session, deployment_id: str) -> LedgerEntry | None:
    """Return the entry that reserved a deployment's present hour; None if there is none."""
    of_deployment = LedgerEntry.deployment_id == deployment_id, col(LedgerEntry.kind).in_(ESTIMATED)
    newest = select(LedgerEntry).where(*of_deployment).order_by(col(LedgerEntry.id).desc()).limit(1)
    entry = session.exec(newest).first()
    return entry if entry is not None and entry.kind is Kind.RESERVE else None


def list_entries(
    session: Session, project_id: str, job_id: str | None, *, after: str | None, limit: int
) -> list[LedgerEntry]:
    """Return up to `limit` + 1 entries, newest first. Raises `NotFound`."""
    projects.get_project(session, project_id)
    where = [] if job_id is None else [LedgerEntry.job_id == job_id]
    return list_owned(session, LedgerEntry, project_id, *where, after=after, limit=limit)
