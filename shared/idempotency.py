"""Answers that were given under a caller's key, so that a request which is sent again is not carried out again."""

from datetime import datetime
from hashlib import sha256

from sqlalchemy import and_, case, func, literal
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, SQLModel, col, select

from shared.db.batches import delete_batch
from shared.db.columns import TimeField
from shared.db.times import utc_now
from shared.errors import KeyInUse
from shared.security.secrets import NoKeyFits, reseal
from shared.settings import get_settings

AT_ONCE = 1000


class StoredAnswer(SQLModel, table=True):
    """What was answered under a key, written in the transaction of the work: both are there, or neither is.

    `id` is the SHA-256 of the key and whose it is, `request_sha256` that of what was asked. The body is sealed: it may
    hold a secret that is shown once.
    """

    __tablename__ = "stored_answers"

    id: str = Field(primary_key=True)
    created_at: datetime = TimeField(default_factory=utc_now, index=True)
    request_sha256: str
    status: int
    content_type: str
    sealed_body: str


def answer_id(owner: str, key: str) -> str:
    """A key means something to its owner only. `owner` has no space in it, so that no two pairs are alike."""
    return sha256(f"{owner} {key}".encode()).hexdigest()


def find_or_reserve(session: Session, id: str) -> StoredAnswer | None:
    """The answer under an id; if there is none, nobody else can begin before this transaction ends.

    Raises `KeyInUse` if somebody has begun, and does not wait for them. It is one statement, which may look just before
    the other one commits and reserve just after; what is then done twice is found by `store`, and undone.
    """
    lock = int.from_bytes(bytes.fromhex(id)[:8], "big", signed=True)
    reserved = case((col(StoredAnswer.id).is_(None), func.pg_try_advisory_xact_lock(lock)))
    is_it = and_(col(StoredAnswer.id) == id, col(StoredAnswer.created_at) > _oldest())
    always_one = select(literal(1)).subquery()
    query = select(StoredAnswer, reserved).select_from(always_one).outerjoin(StoredAnswer, is_it)
    answer, is_reserved = session.exec(query).one()
    if is_reserved is False:
        raise KeyInUse
    return answer


def store(session: Session, answer: StoredAnswer) -> None:
    """Keep an answer, in the place of one that has expired. Raises `KeyInUse` if there is one that has not."""
    values = answer.model_dump()
    expired = col(StoredAnswer.created_at) <= _oldest()
    put = insert(StoredAnswer).values(values).on_conflict_do_update(index_elements=["id"], set_=values, where=expired)
    if session.exec(put.returning(col(StoredAnswer.id))).one_or_none() is None:
        raise KeyInUse


def _oldest() -> datetime:
    return utc_now() - get_settings().idempotency_lifetime


def forget(session: Session, before: datetime) -> int:
    """Remove some answers that were given before a time; how many."""
    return delete_batch(session, StoredAnswer, col(StoredAnswer.created_at) < before)


def reseal_after(session: Session, after: str) -> str | None:
    """Seal the next answers after an id with the first key; the last one's id, or None after the last.

    One that no key opens is left to be forgotten: nobody can read it.
    """
    query = select(StoredAnswer).where(StoredAnswer.id > after).order_by(StoredAnswer.id).limit(AT_ONCE)
    rows = session.exec(query.with_for_update()).all()
    for row in rows:
        try:
            row.sealed_body = reseal(row.sealed_body, row.id)
        except NoKeyFits:
            continue
    return rows[-1].id if rows else None
