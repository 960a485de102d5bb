"""Stops a server from starting if a key is missing that stored secrets need, and gives up secrets of a lost key."""

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import InstrumentedAttribute
from sqlmodel import Session, col, select

from shared.database import transaction
from shared.db.times import utc_now
from shared.key_rotation.reseal import SEALED, Row, sealed_columns
from shared.log import stop_with
from shared.security.secrets import FERNET, VERSION, CannotUnseal, key_id, key_ids, unseal
from shared.webhooks import service as webhooks
from shared.webhooks.models import DisabledReason, WebhookEndpoint

log = structlog.get_logger(__name__)
MAX_CHECKED_FERNET_TOKENS = 1000  # a Fernet token does not name its key: it must be opened to know


class KeyLost(Exception):
    """A configured key is missing; the message tells the operator which one and what to do."""


def check_keys() -> None:
    """Raises `KeyLost` if a key is missing. Passes if Postgres cannot be reached yet or has no tables yet."""
    try:
        with transaction() as session:
            missing = _missing(session)
    except OperationalError as error:
        log.warning("Postgres cannot be reached: whether a key is missing is not known", reason=str(error.orig).strip())
        return
    except ProgrammingError:
        return
    if missing:
        counts = ", ".join(f"{id} ({count} sealed with it)" for id, count in sorted(missing.items()))
        raise KeyLost(
            f"TUNERY_SECRET_KEYS lacks the key {counts}, so stored secrets cannot be opened. Add it again, behind the "
            "first key. If it is lost for good, `./tunery secrets forget KEY` gives up the secrets that need it"
        )


def check_keys_of_server() -> None:
    """End this process with a line of the log if a key is missing."""
    try:
        check_keys()
    except KeyLost as error:
        stop_with(f"{error}.")


def keys_in_use(session: Session) -> set[str]:
    """Return the ids of the keys that seal stored secrets; without those of Fernet tokens, which do not name theirs."""
    found: set[str] = set()
    for model in SEALED:
        for column, in_use in _columns(model):
            ids = select(func.split_part(column, ".", 2)).where(*in_use, _names_its_key(column)).distinct()
            found.update(session.exec(ids))
    return found


def _names_its_key(column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return column.like(f"{VERSION}.%")


def _missing(session: Session) -> dict[str, int]:
    """Return how many secrets each missing key seals, by its id; `fernet` for tokens that no key opens."""
    missing: dict[str, int] = {}
    for model in SEALED:
        for column, in_use in _columns(model):
            id = func.split_part(column, ".", 2)
            counted = select(id, func.count()).where(*in_use, _names_its_key(column)).group_by(id)
            for found, count in session.exec(counted.where(id.not_in(key_ids()))):
                missing[found] = missing.get(found, 0) + count
            tokens = select(column).where(*in_use, ~_names_its_key(column)).limit(MAX_CHECKED_FERNET_TOKENS)
            if lost := sum(not _opens(token) for token in session.exec(tokens)):
                missing[FERNET] = missing.get(FERNET, 0) + lost
    return missing


def _columns(model: type[Row]) -> Iterator[tuple[InstrumentedAttribute[str], list[ColumnElement[bool]]]]:
    """Yield each sealed column, with the conditions under which its value is still needed."""
    for name in sealed_columns(model):
        column = getattr(model, name)
        needed = [col(model.deleted_at).is_(None), column.is_not(None)]
        if name == "sealed_old_secret":
            needed.append(col(WebhookEndpoint.old_secret_expires_at) > utc_now())
        yield column, needed


def _opens(sealed: str) -> bool:
    try:
        unseal(sealed, "")
    except CannotUnseal:
        return False
    return True


def forget(session: Session, id: str) -> list[str]:
    """Erase the secrets that a lost key seals, and return the ids of the changed rows.

    A credential loses its secret. A webhook endpoint is disabled and gets a new secret, which its owner must rotate to
    know. Raises `KeyLost` if the key is configured.
    """
    if id in key_ids():
        raise KeyLost(f"The key {id} is not lost: it is one of TUNERY_SECRET_KEYS")
    changed = []
    for model in SEALED:
        existing = select(model).where(col(model.deleted_at).is_(None))
        rows: Sequence[Any] = session.exec(existing.with_for_update(key_share=True)).all()
        changed += [row.id for row in rows if _forget(row, id)]
    return changed


def _forget(row: Row, id: str) -> bool:
    lost = [column for column in sealed_columns(type(row)) if _is_lost(getattr(row, column), id)]
    for column in lost:
        setattr(row, column, None)
    if isinstance(row, WebhookEndpoint) and "sealed_secret" in lost:
        webhooks.replace_secret(row)
        row.disabled_at, row.disabled_reason = utc_now(), DisabledReason.REQUESTED
    return bool(lost)


def _is_lost(sealed: str | None, id: str) -> bool:
    return sealed is not None and key_id(sealed) == id and (id != FERNET or not _opens(sealed))
