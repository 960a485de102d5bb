"""Finds out, before work begins, whether a key is missing with which something is sealed; and does without it."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import InstrumentedAttribute
from sqlmodel import Session, col, select

from shared.database import transaction
from shared.db.times import utc_now
from shared.key_rotation.reseal import SEALED, Row, sealed_columns
from shared.security.secrets import OLD, VERSION, NoKeyFits, key_id, key_ids, unseal
from shared.webhooks import service as webhooks
from shared.webhooks.models import DisabledReason, WebhookEndpoint

LOOKED_AT = 1000  # of what older versions sealed, which does not name its key


class KeyLost(Exception):
    """What the database holds cannot be opened with the configured keys: a sentence for the operator."""


def check_keys() -> None:
    """Raises `KeyLost`. A database that does not answer yet, or has no tables yet, has nothing to say."""
    try:
        with transaction() as session:
            missing = _missing(session)
    except (OperationalError, ProgrammingError):
        return
    if missing:
        counts = ", ".join(f"{id} ({count} sealed with it)" for id, count in sorted(missing.items()))
        raise KeyLost(
            f"TUNERY_SECRET_KEYS lacks the key {counts}, so stored secrets cannot be opened. Put it back, after the "
            "key that is to seal. If it is lost for good, `tunery secrets forget KEY` gives up what only it can open"
        )


def _missing(session: Session) -> dict[str, int]:
    """Key ids that are in use and not configured, and how many secrets they seal; `fernet` for those of no id."""
    missing: dict[str, int] = {}
    for model in SEALED:
        for column, in_use in _columns(model):
            id = func.split_part(column, ".", 2)
            counted = select(id, func.count()).where(*in_use, column.like(f"{VERSION}.%")).group_by(id)
            for found, count in session.exec(counted.where(id.not_in(key_ids()))):
                missing[found] = missing.get(found, 0) + count
            old = session.exec(select(column).where(*in_use, column.not_like(f"{VERSION}.%")).limit(LOOKED_AT))
            if lost := sum(not _opens(sealed) for sealed in old):
                missing[OLD] = missing.get(OLD, 0) + lost
    return missing


def _columns(model: type[Row]) -> Iterator[tuple[InstrumentedAttribute[str], list[ColumnElement[bool]]]]:
    """Each sealed column, and which of its values are still needed."""
    for name in sealed_columns(model):
        column = getattr(model, name)
        needed = [col(model.deleted_at).is_(None), column.is_not(None)]
        if name == "sealed_old_secret":
            needed.append(col(WebhookEndpoint.old_secret_expires_at) > utc_now())
        yield column, needed


def _opens(sealed: str) -> bool:
    try:
        unseal(sealed, "")
    except NoKeyFits:
        return False
    return True


def forget(session: Session, id: str) -> list[str]:
    """Give up what only a lost key opens; the ids of the rows. A credential is left without its secret; an endpoint is
    disabled, with a new secret that nobody knows before it is rotated."""
    if id in key_ids():
        raise KeyLost(f"The key {id} is not lost: it is one of TUNERY_SECRET_KEYS")
    touched = []
    for model in SEALED:
        alive = select(model).where(col(model.deleted_at).is_(None))
        rows: Sequence[Any] = session.exec(alive.with_for_update(key_share=True)).all()
        touched += [row.id for row in rows if _forget(row, id)]
    return touched


def _forget(row: Row, id: str) -> bool:
    lost = [column for column in sealed_columns(type(row)) if _is_lost(getattr(row, column), id)]
    for column in lost:
        setattr(row, column, None)
    if isinstance(row, WebhookEndpoint) and "sealed_secret" in lost:
        webhooks.replace_secret(row)
        row.disabled_at, row.disabled_reason = utc_now(), DisabledReason.REQUESTED
    return bool(lost)


def _is_lost(sealed: str | None, id: str) -> bool:
    return sealed is not None and key_id(sealed) == id and (id != OLD or not _opens(sealed))
