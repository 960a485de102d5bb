"""How many of an endpoint's last deliveries have succeeded."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from shared.webhooks.models import DeliveryStatus, WebhookDelivery

NEWEST = 100


class Success(BaseModel):
    """Of the newest 100 deliveries of an endpoint, those that have ended. `rate` is 0 to 1; null before the first."""

    object: Literal["webhook_endpoint.success"] = "webhook_endpoint.success"
    succeeded: int = 0
    failed: int = 0
    rate: float | None = None

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed


def success_of(session: Session, project_id: str, endpoint_ids: Sequence[str]) -> dict[str, Success]:
    """Return the success of each of these endpoints of a project. Each is one read of an index."""
    return {each: _of_one(session, project_id, each) for each in endpoint_ids}


def _of_one(session: Session, project_id: str, endpoint_id: str) -> Success:
    newest = (
        select(WebhookDelivery.status)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.project_id == project_id)
        .order_by(col(WebhookDelivery.id).desc())
        .limit(NEWEST)
        .subquery()
    )
    counts = dict(session.exec(select(newest.c.status, func.count()).group_by(newest.c.status)).all())
    succeeded, failed = counts.get(DeliveryStatus.SUCCEEDED, 0), counts.get(DeliveryStatus.FAILED, 0)
    rate = succeeded / (succeeded + failed) if succeeded + failed else None
    return Success(succeeded=succeeded, failed=failed, rate=rate)
