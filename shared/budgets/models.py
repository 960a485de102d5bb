"""A project's money: what it may spend, whom to tell of it, and every movement, written down once."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field

from shared.db.columns import AmountField, EnumField, JSONField
from shared.db.tables import Owned

CURRENCY = "USD"  # of limits and alerts: OpenAI's wire knows no other


class Kind(StrEnum):
    """`reserve` and `release` are of estimates, and cancel each other out; `settle` and `adjust` are what it cost."""

    RESERVE = "reserve"
    RELEASE = "release"
    SETTLE = "settle"
    ADJUST = "adjust"


class LedgerEntry(Owned, table=True):
    """One movement of money; what a project has spent and reserved is the sum of its entries. The database refuses to
    change or delete one.

    `amount` is negative where money becomes free. `month` (its first day, UTC) is the one whose limit it counts for:
    all entries of a job count for the month in which its estimate was reserved. `quantity` is in tokens.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        Index(None, "project_id", "id"),
        Index("ix_ledger_entries_sums", "project_id", "month", postgresql_include=["kind", "currency", "amount"]),
        Index(None, "created_at"),
    )
    id_prefix: ClassVar[str] = "entry_"
    called: ClassVar[str] = "ledger entry"

    job_id: str | None = Field(default=None, foreign_key="jobs.id", index=True)
    kind: Kind = EnumField(Kind)
    amount: Decimal = AmountField()
    currency: str
    month: date
    line_item: str
    quantity: int | None = Field(default=None, sa_type=BigInteger)
    reason: str


class Budget(Owned, table=True):
    """What a project may spend in a calendar month, if that is bounded, and above what amount a job needs approval.

    Whoever reserves has locked this row. A project without one is not bounded. `alert_percentages` are of the limit.
    """

    __tablename__ = "budgets"
    __table_args__ = (UniqueConstraint("project_id"),)
    id_prefix: ClassVar[str] = "budget_"
    called: ClassVar[str] = "budget"

    spend_limit: Decimal | None = AmountField(default=None, nullable=True)
    alert_percentages: list[int] = JSONField(default_factory=list)
    approval_above: Decimal | None = AmountField(default=None, nullable=True)

    @property
    def needs_estimates(self) -> bool:
        """Whether a job must wait until it is known what it will cost."""
        return self.spend_limit is not None or self.approval_above is not None


class SpendAlert(Owned, table=True):
    """An amount in a calendar month at which these people get an e-mail."""

    __tablename__ = "spend_alerts"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "alert_"
    called: ClassVar[str] = "spend alert"

    threshold: Decimal = AmountField()
    recipients: list[str] = JSONField(default_factory=list)
    subject_prefix: str | None = None


class ThresholdNotification(Owned, table=True):
    """That a project was told of having reached an amount: `name` is a percentage (`80%`) or the id of an alert."""

    __tablename__ = "threshold_notifications"
    __table_args__ = (UniqueConstraint("project_id", "month", "name", "amount"),)
    id_prefix: ClassVar[str] = "told_"

    month: date
    name: str
    amount: Decimal = AmountField()
