"""Seals the signing secrets again with the first key, so that an older one can be taken out of the settings."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from shared.secrets import NoKeyFits, reseal
from shared.webhooks.models import WebhookEndpoint

AT_ONCE = 100


@dataclass(frozen=True)
class Batch:
    """What came of some endpoints: how many secrets were sealed again, how many were so already, whose cannot be."""

    resealed: int
    kept: int
    unopened: list[str]
    last_id: str


def reseal_after(session: Session, after: str) -> Batch | None:
    """The next endpoints after an id, locked until the transaction ends; None after the last.

    A deleted endpoint signs nothing any more, so its secrets stay as they are.
    """
    query = select(WebhookEndpoint).where(WebhookEndpoint.id > after, col(WebhookEndpoint.deleted_at).is_(None))
    rows = session.exec(query.order_by(WebhookEndpoint.id).limit(AT_ONCE).with_for_update(key_share=True)).all()
    if not rows:
        return None
    changed = [_reseal(row) for row in rows]
    return Batch(
        resealed=sum(counts.count(True) for counts in changed),
        kept=sum(counts.count(False) for counts in changed),
        unopened=[row.id for row, counts in zip(rows, changed, strict=True) if None in counts],
        last_id=rows[-1].id,
    )


def _reseal(endpoint: WebhookEndpoint) -> list[bool | None]:
    """For each of its secrets whether it changed; None if no key opens it."""
    return [_reseal_one(endpoint, name) for name in ("sealed_secret", "sealed_old_secret") if getattr(endpoint, name)]


def _reseal_one(endpoint: WebhookEndpoint, name: str) -> bool | None:
    before: str = getattr(endpoint, name)
    try:
        after = reseal(before, endpoint.place)
    except NoKeyFits:
        return None
    setattr(endpoint, name, after)
    return after != before
