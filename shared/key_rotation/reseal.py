"""Seals what is kept sealed again with the first key, so that an older one can be taken out of the settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from shared import idempotency
from shared.database import transaction
from shared.projects.credentials import sealed_places
from shared.projects.models import Credential
from shared.security.secrets import NoKeyFits, reseal
from shared.webhooks.models import WebhookEndpoint

AT_ONCE = 100
Row = WebhookEndpoint | Credential


# Each table with sealed columns, besides that of the stored answers.
SEALED: tuple[type[Row], ...] = (WebhookEndpoint, Credential)


def sealed_columns(model: type[Row]) -> list[str]:
    return [name for name in model.model_fields if name.startswith("sealed_")]


def _places(row: Row) -> dict[str, str]:
    """For what each sealed column is sealed."""
    if isinstance(row, Credential):
        return sealed_places(row)
    return dict.fromkeys(sealed_columns(WebhookEndpoint), row.place)


@dataclass
class Done:
    """How many secrets were sealed again, how many were so already, and the rows of which one cannot be opened."""

    resealed: int = 0
    kept: int = 0
    unopened: list[str] = field(default_factory=list)


def reseal_all() -> Done:
    """Every secret that is still needed, and every stored answer, in transactions of a few rows each, so that nobody
    waits long for one. Answers that no key opens are left to be forgotten."""
    done = Done()
    for model in SEALED:
        last_id: str | None = ""
        while last_id is not None:
            with transaction() as session:
                last_id = _reseal_after(session, model, last_id, done)
    answer_id: str | None = ""
    while answer_id is not None:
        with transaction() as session:
            answer_id = idempotency.reseal_after(session, answer_id)
    return done


def _reseal_after(session: Session, model: type[Row], after: str, done: Done) -> str | None:
    """The next rows after an id, locked until the transaction ends; the last one's id, or None after the last."""
    query = select(model).where(model.id > after, col(model.deleted_at).is_(None))
    rows: Sequence[Any] = session.exec(query.order_by(model.id).limit(AT_ONCE).with_for_update(key_share=True)).all()
    for row in rows:
        changed = _reseal(row)
        done.resealed += changed.count(True)
        done.kept += changed.count(False)
        done.unopened += [row.id] if None in changed else []
    return rows[-1].id if rows else None


def _reseal(row: Row) -> list[bool | None]:
    """For each of its secrets whether it changed; None if no key opens it."""
    return [_reseal_one(row, column, place) for column, place in _places(row).items() if getattr(row, column)]


def _reseal_one(row: Row, column: str, place: str) -> bool | None:
    before: str = getattr(row, column)
    try:
        after = reseal(before, place)
    except NoKeyFits:
        return None
    setattr(row, column, after)
    return after != before
