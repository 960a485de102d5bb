"""Requests and responses for limits, alerts and the ledger: OpenAI's objects where its API has them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.budgets.amounts import cents_of, text_of
from shared.budgets.ledger import Sums
from shared.budgets.models import Budget, Kind, LedgerEntry, SpendAlert
from shared.db.pages import Listed
from shared.db.times import epoch
from shared.json_fields import Pattern
from shared.notifications.schemas import Addresses

MAX_CENTS = 10**13  # a hundred billion dollars
Cents = Annotated[int, Field(ge=0, le=MAX_CENTS, strict=True)]
USD = Literal["USD"]


class SpendLimitUpdate(BaseModel):
    """OpenAI's request: a hard limit for each calendar month (UTC), in cents.

    `alert_percentages` is not in OpenAI's API: the project is notified once a month at each of these percentages.
    Of a limit that exists, what is left out stays as it is; a new one needs its amount, and alerts at 50, 80 and 100.
    """

    model_config = ConfigDict(extra="forbid")

    currency: USD
    interval: Literal["month"]
    threshold_amount: Cents | None = None
    alert_percentages: (
        Annotated[list[Annotated[int, Field(ge=1, le=100, strict=True)]], Field(max_length=20)] | None
    ) = None


class Enforcement(BaseModel):
    """`enforcing` when the limit is reached: no more jobs, and no more questions of known price, this month."""

    status: Literal["inactive", "enforcing"]


class SpendLimitPublic(BaseModel):
    """OpenAI's spend limit, with the amounts spent, reserved for unfinished jobs, and remaining, as decimal text."""

    object: Literal["project.spend_limit"] = "project.spend_limit"
    currency: USD = "USD"
    interval: Literal["month"] = "month"
    threshold_amount: int
    enforcement: Enforcement
    alert_percentages: list[int]
    spent: str
    reserved: str
    remaining: str

    @classmethod
    def of(cls, budget: Budget, limit: Decimal, sums: Sums) -> "SpendLimitPublic":
        left = limit - sums.committed
        return cls(
            threshold_amount=cents_of(limit),
            enforcement=Enforcement(status="inactive" if left > 0 else "enforcing"),
            alert_percentages=budget.alert_percentages,
            spent=text_of(sums.spent),
            reserved=text_of(sums.reserved),
            remaining=text_of(max(left, Decimal())),
        )


class SpendLimitDeleted(BaseModel):
    object: Literal["project.spend_limit.deleted"] = "project.spend_limit.deleted"
    deleted: Literal[True] = True


class ApprovalLimitUpdate(BaseModel):
    """A job whose estimate is above this amount (in cents), or unknown, waits for approval."""

    model_config = ConfigDict(extra="forbid")

    currency: USD
    threshold_amount: Cents


class ApprovalLimitPublic(BaseModel):
    object: Literal["project.approval_limit"] = "project.approval_limit"
    currency: USD = "USD"
    threshold_amount: int


class ApprovalLimitDeleted(BaseModel):
    object: Literal["project.approval_limit.deleted"] = "project.approval_limit.deleted"
    deleted: Literal[True] = True


class NotificationChannel(BaseModel):
    """Recipients of an e-mail, and the beginning of its subject (OpenAI's object)."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["email"]
    recipients: Addresses
    subject_prefix: (
        Annotated[
            str,
            Field(max_length=100),
            Pattern(r"[^\x00-\x1f\x7f]*", "A subject has no line breaks and no other control characters"),
        ]
        | None
    ) = None


class SpendAlertUpdate(BaseModel):
    """OpenAI's request to create or replace a spend alert. The amount is in cents."""

    model_config = ConfigDict(extra="forbid")

    currency: USD
    interval: Literal["month"]
    threshold_amount: Cents
    notification_channel: NotificationChannel


class SpendAlertPublic(Listed):
    """OpenAI's spend alert."""

    object: Literal["project.spend_alert"] = "project.spend_alert"
    currency: USD = "USD"
    interval: Literal["month"] = "month"
    threshold_amount: int
    notification_channel: NotificationChannel

    @classmethod
    def of(cls, row: SpendAlert) -> "SpendAlertPublic":
        channel = NotificationChannel.model_construct(
            type="email", recipients=row.recipients, subject_prefix=row.subject_prefix
        )
        return cls(id=row.id, threshold_amount=cents_of(row.threshold), notification_channel=channel)


class SpendAlertDeleted(BaseModel):
    id: str
    object: Literal["project.spend_alert.deleted"] = "project.spend_alert.deleted"
    deleted: Literal[True] = True


class ThresholdReached(BaseModel):
    """Object of a notification: spending has reached a percentage of the limit, or the amount of a spend alert.

    Amounts are decimal text; `id` is the project's.
    """

    id: str
    object: Literal["project.budget"] = "project.budget"
    month: str
    currency: USD = "USD"
    spend_limit: str | None
    spent: str
    reserved: str
    threshold_amount: str
    threshold_percent: int | None
    spend_alert_id: str | None

    @classmethod
    def of(
        cls, budget: Budget, month: date, sums: Sums, amount: Decimal, percent: int | None, alert: SpendAlert | None
    ) -> "ThresholdReached":
        return cls(
            id=budget.project_id,
            month=f"{month:%Y-%m}",
            spend_limit=None if budget.spend_limit is None else text_of(budget.spend_limit),
            spent=text_of(sums.spent),
            reserved=text_of(sums.reserved),
            threshold_amount=text_of(amount),
            threshold_percent=percent,
            spend_alert_id=alert.id if alert else None,
        )


class AdjustmentCreate(BaseModel):
    """A correction of what was spent. `amount` is decimal text, negative to reduce the sum."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[
        str,
        Field(examples=["-1.50"]),
        Pattern(
            r"-?[0-9]{1,12}(\.[0-9]{1,10})?",
            "Send a decimal number as text, such as -1.50, with up to 12 digits before the point and 10 behind it",
        ),
    ]
    currency: USD
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    job_id: Annotated[str | None, Field(max_length=64)] = None


class LedgerEntryPublic(Listed):
    """One movement of money. `amount` is decimal text; `month` (`2026-11`) is the one whose limit it counts for."""

    object: Literal["project.ledger_entry"] = "project.ledger_entry"
    created_at: int
    project_id: str
    job_id: str | None
    deployment_id: str | None
    kind: Kind
    amount: str
    currency: str
    month: str
    line_item: str
    quantity: int | None
    reason: str

    @classmethod
    def of(cls, row: LedgerEntry) -> "LedgerEntryPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            project_id=row.project_id,
            job_id=row.job_id,
            deployment_id=row.deployment_id,
            kind=row.kind,
            amount=text_of(row.amount),
            currency=row.currency,
            month=f"{row.month:%Y-%m}",
            line_item=row.line_item,
            quantity=row.quantity,
            reason=row.reason,
        )
