"""Stores the answers of requests with an `Idempotency-Key`, so that a repeated request is not carried out again."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256

from psycopg.errors import LockNotAvailable
from sqlalchemy import ColumnElement, and_, case, false, func, literal, text
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import OperationalError
from sqlmodel import Field, Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.batches import delete_batch
from shared.db.columns import TimeField
from shared.db.quotas import RecentCount, Use, count_up_to
from shared.db.times import utc_now
from shared.errors import KeyInUse
from shared.security.secrets import CannotUnseal, reseal
from shared.settings import get_settings

RESEAL_BATCH_ROWS = 1000
REPEATED_ANSWERS_PER_KEY = 8192  # kept for requests without an Idempotency-Key; more are written over older ones
REPEATED_WITHIN = timedelta(minutes=10)  # OpenAI's SDKs repeat a request within seconds, and wait ten minutes for each
MAX_COUNT_DIGITS = 4
_OF_THE_SESSION = "nullif(current_setting('tunery.project', true), '')"
FIRST_REQUEST_WAIT_SECONDS = 30  # then the client is told to repeat it once more


_recent = RecentCount()


class StoredAnswer(SQLModel, table=True):
    """The answer to a request with a key, written in the transaction of its work: both are committed, or neither is.

    `id`: the SHA-256 of the owner and the key. `request_sha256`: that of method, URL and body, to detect a key that is
    used for another request. `sealed_body` is sealed because it may contain a secret that is shown only once.
    `project_id` is that of the session, by the column's default; null for the answer to an admin key.
    """

    __tablename__ = "stored_answers"

    id: str = Field(primary_key=True)
    created_at: datetime = TimeField(default_factory=utc_now, index=True)
    request_sha256: str
    status: int
    content_type: str
    sealed_body: str
    project_id: str | None = Field(default=None, index=True, sa_column_kwargs={"server_default": text(_OF_THE_SESSION)})


def answer_id(owner: str, key: str) -> str:
    """Return the id for an owner's key. An `owner` contains no space, so different pairs never give the same text."""
    return sha256(f"{owner} {key}".encode()).hexdigest()


def _lock_of(id: str) -> int:
    return int.from_bytes(bytes.fromhex(id)[:8], "big", signed=True)


def find_or_reserve(session: Session, id: str, *where: ColumnElement[bool]) -> StoredAnswer | None:
    """Return the stored answer, if `where` is true for it, or reserve the id for this transaction and return None.

    Raises `KeyInUse`, without waiting, if another transaction has reserved it. Reading and reserving are one statement,
    which may read just before the other transaction commits and reserve just after. Then both do the work, but `store`
    finds the other answer and this transaction is rolled back.
    """
    reserved = case((col(StoredAnswer.id).is_(None), func.pg_try_advisory_xact_lock(_lock_of(id))))
    is_it = and_(col(StoredAnswer.id) == id, col(StoredAnswer.created_at) > _oldest(), *where)
    always_one = select(literal(1)).subquery()
    query = select(StoredAnswer, reserved).select_from(always_one).outerjoin(StoredAnswer, is_it)
    answer, is_reserved = session.exec(query).one()
    if is_reserved is False:
        raise KeyInUse
    return answer


def find_repeated_or_reserve(session: Session, id: str, request_sha256: str, retry_count: int) -> StoredAnswer | None:
    """Like `find_or_reserve`, for a request without a key that its client may repeat.

    A first request (`retry_count` 0) is never answered with an older answer: it may be meant to be the second of its
    kind. A repeated one waits for the first, if that is still being processed. Raises `KeyInUse` if it takes too long.
    """
    if retry_count == 0:
        with suppress(KeyInUse):
            return find_or_reserve(session, id, false())
        return None
    session.execute(text(f"SET LOCAL lock_timeout = '{FIRST_REQUEST_WAIT_SECONDS}s'"))
    try:
        session.exec(select(func.pg_advisory_xact_lock(_lock_of(id))))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise KeyInUse from None
        raise
    session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    is_recent = col(StoredAnswer.created_at) > utc_now() - REPEATED_WITHIN
    query = select(StoredAnswer).where(StoredAnswer.id == id, StoredAnswer.request_sha256 == request_sha256, is_recent)
    return session.exec(query).one_or_none()


def read_retry_count(header: str) -> int | None:
    """Return how often OpenAI's SDK says that it has repeated a request; None if it does not say."""
    return int(header) if header.isascii() and header.isdecimal() and len(header) <= MAX_COUNT_DIGITS else None


def repeated_answer_id(owner: str, request_sha256: str) -> str:
    """Return the id for the answer to a request without a key; an owner has a fixed number of ids, used in turn."""
    return answer_id(owner, f"repeated {int(request_sha256[:8], 16) % REPEATED_ANSWERS_PER_KEY}")


def replace(session: Session, answer: StoredAnswer) -> None:
    """Insert an answer to a request without a key, or write it over an older one of this id, which is reserved."""
    session.exec(_insert(answer, or_replace_where=None))


def store(session: Session, answer: StoredAnswer) -> None:
    """Insert an answer, or replace an expired one. Raises `KeyInUse` if there is one that has not expired."""
    query = _insert(answer, or_replace_where=col(StoredAnswer.created_at) <= _oldest())
    if session.exec(query.returning(col(StoredAnswer.id))).one_or_none() is None:
        raise KeyInUse


def _insert(answer: StoredAnswer, or_replace_where: ColumnElement[bool] | None) -> Insert:
    query = insert(StoredAnswer).values(answer.model_dump(exclude={"project_id"}))
    replaced = {name: query.excluded[name] for name in StoredAnswer.model_fields}
    return query.on_conflict_do_update(index_elements=["id"], set_=replaced, where=or_replace_where)


def keys_of_a_day(project_id: str) -> SelectOfScalar[str]:
    """Return a query for the ids of the answers that are kept for the project."""
    return select(StoredAnswer.id).where(StoredAnswer.project_id == project_id)


def find_or_reserve_within_quota(
    session: Session, id: str, project_id: str | None, limit: Callable[[Session, str], int | None]
) -> StoredAnswer | None:
    """Like `find_or_reserve`; raises `QuotaExceeded` if a project would reserve more than its limit."""
    answer = find_or_reserve(session, id)
    if answer is None and project_id is not None:
        _check_quota(session, project_id, limit)
    return answer


def _check_quota(session: Session, project_id: str, limit: Callable[[Session, str], int | None]) -> None:
    def look() -> Use:
        most = limit(session, project_id)
        return Use(0 if most is None else count_up_to(session, keys_of_a_day(project_id), most), most)

    hours = get_settings().idempotency_lifetime.total_seconds() / 3600
    advice = f"send this without the header, or wait: a key is kept for {hours:g} h"
    _recent.take("idempotency_keys", project_id, look, advice)


def _oldest() -> datetime:
    return utc_now() - get_settings().idempotency_lifetime


def delete_before(session: Session, before: datetime) -> int:
    """Delete a batch of answers from before a time, and return how many."""
    return delete_batch(session, StoredAnswer, col(StoredAnswer.created_at) < before)


def reseal_after(session: Session, after: str) -> str | None:
    """Reseal the next answers after an id with the first key. Returns the last one's id; None if there was none.

    An answer that no key opens is skipped: it expires.
    """
    query = select(StoredAnswer).where(StoredAnswer.id > after).order_by(StoredAnswer.id).limit(RESEAL_BATCH_ROWS)
    rows = session.exec(query.with_for_update()).all()
    for row in rows:
        try:
            row.sealed_body = reseal(row.sealed_body, row.id)
        except CannotUnseal:
            continue
    return rows[-1].id if rows else None
