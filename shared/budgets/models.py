"""Tables of a project's money: limits, spend alerts, the ledger, to which entries are only ever added, and its sums."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from shared.db.columns import AmountField, EnumField, JSONField
from shared.db.tables import Owned

CURRENCY = "USD"  # OpenAI's API allows no other currency for limits and alerts


class Kind(StrEnum):
    """`reserve` and `release` move the estimate of a job, or of an hour of a deployment, and add up to zero.

    `settle` and `adjust` are actual costs.
    """

    RESERVE = "reserve"
    RELEASE = "release"
    SETTLE = "settle"
    ADJUST = "adjust"


class LedgerEntry(Owned, table=True):
    """One movement of money. A project's spent and reserved amounts are sums of its entries.

    A trigger refuses to change or delete an entry.
    `amount`: negative where reserved money becomes free. `quantity`: tokens.
    `month`: first day (UTC) of the month whose limit the entry counts for; all entries of a job count for the month in
    which its estimate was reserved.
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
    deployment_id: str | None = Field(default=None, foreign_key="deployments.id", index=True)
    kind: Kind = EnumField(Kind)
    amount: Decimal = AmountField()
    currency: str
    month: date
    line_item: str
    quantity: int | None = Field(default=None, sa_type=BigInteger)
    reason: str


class Accrual(SQLModel, table=True):
    """What a project has spent on a line item on a day (UTC), in US dollars, until it becomes an entry of the ledger.

    `quantity`: tokens.
    """

    __tablename__ = "accruals"
    __table_args__ = (Index(None, "day"),)

    project_id: str = Field(foreign_key="projects.id", primary_key=True)
    day: date = Field(primary_key=True)
    line_item: str = Field(primary_key=True)
    amount: Decimal = AmountField()
    quantity: int = Field(sa_type=BigInteger)


class DailySum(SQLModel, table=True):
    """A project's ledger entries and accruals of one day (UTC), added up. Written by triggers, in the transaction of
    the entry or of the change.

    `is_reserved`: of reservations and releases, all line items together; else of actual costs.
    """

    __tablename__ = "daily_sums"
    __table_args__ = (Index(None, "project_id", "month"), Index(None, "day"))

    project_id: str = Field(foreign_key="projects.id", primary_key=True)
    day: date = Field(primary_key=True)
    month: date = Field(primary_key=True)
    is_reserved: bool = Field(primary_key=True)
    line_item: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    amount: Decimal = AmountField()
    quantity: int | None = Field(default=None, sa_type=BigInteger)


class Budget(Owned, table=True):
    """A project's limits; null, like a missing row, means no limit.

    Transactions that reserve money lock this row first, so that two jobs cannot take the same rest of the limit.
    `spend_limit`: per calendar month. `alert_percentages`: of the limit, at which the project is notified.
    `approval_above`: a job with a higher estimate needs approval.
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
        """Whether a job must wait for its estimate before it may start."""
        return self.spend_limit is not None or self.approval_above is not None


class SpendAlert(Owned, table=True):
    """An amount per calendar month at which the `recipients` get an e-mail."""

    __tablename__ = "spend_alerts"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "alert_"
    called: ClassVar[str] = "spend alert"

    threshold: Decimal = AmountField()
    recipients: list[str] = JSONField(default_factory=list)
    subject_prefix: str | None = None


class ThresholdNotification(Owned, table=True):
    """Records that a threshold was notified, so that it is not notified again in the same month.

    `name`: a percentage such as `80%`, or the id of a spend alert.
    """

    __tablename__ = "threshold_notifications"
    __table_args__ = (UniqueConstraint("project_id", "month", "name", "amount"),)
    id_prefix: ClassVar[str] = "threshold_"

    month: date
    name: str
    amount: Decimal = AmountField()
