"""Seals every stored secret with the first configured key, so that older keys can be removed from the settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from shared import idempotency
from shared.database import transaction
from shared.projects.credentials import seal_contexts
from shared.projects.models import Credential
from shared.security.secrets import CannotUnseal, reseal
from shared.webhooks.models import WebhookEndpoint

BATCH_ROWS = 100
Row = WebhookEndpoint | Credential


# The tables with `sealed_…` columns. Stored answers are handled by `shared.idempotency`: they expire within a day.
SEALED: tuple[type[Row], ...] = (WebhookEndpoint, Credential)


def sealed_columns(model: type[Row]) -> list[str]:
    return [name for name in model.model_fields if name.startswith("sealed_")]


def _contexts(row: Row) -> dict[str, str]:
    """Return the seal context of each sealed column."""
    if isinstance(row, Credential):
        return seal_contexts(row)
    return dict.fromkeys(sealed_columns(WebhookEndpoint), row.seal_context)


@dataclass
class Result:
    """How many secrets were sealed again, how many already had the first key, and the rows that no key opens."""

    resealed: int = 0
    unchanged: int = 0
    unopened: list[str] = field(default_factory=list)


def reseal_all() -> Result:
    """Reseal all secrets that are still needed, and all stored answers, a batch of rows in each transaction.

    Stored answers that no key opens are skipped: they expire.
    """
    result = Result()
    for model in SEALED:
        last_id: str | None = ""
        while last_id is not None:
            with transaction() as session:
                last_id = _reseal_after(session, model, last_id, result)
    answer_id: str | None = ""
    while answer_id is not None:
        with transaction() as session:
            answer_id = idempotency.reseal_after(session, answer_id)
    return result


def _reseal_after(session: Session, model: type[Row], after: str, result: Result) -> str | None:
    """Reseal and lock the next rows after an id. Returns the last row's id; None if there was none."""
    query = select(model).where(model.id > after, col(model.deleted_at).is_(None))
    rows: Sequence[Any] = session.exec(query.order_by(model.id).limit(BATCH_ROWS).with_for_update(key_share=True)).all()
    for row in rows:
        changed = _reseal(row)
        result.resealed += changed.count(True)
        result.unchanged += changed.count(False)
        result.unopened += [row.id] if None in changed else []
    return rows[-1].id if rows else None


def _reseal(row: Row) -> list[bool | None]:
    """Return for each secret of the row whether it changed; None if no key opens it."""
    return [_reseal_one(row, column, context) for column, context in _contexts(row).items() if getattr(row, column)]


def _reseal_one(row: Row, column: str, context: str) -> bool | None:
    before: str = getattr(row, column)
    try:
        after = reseal(before, context)
    except CannotUnseal:
        return None
    setattr(row, column, after)
    return after != before
