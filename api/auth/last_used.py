"""When each key was last used: written now and then by a thread of its own, and no request waits for it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, or_
from structlog import get_logger

from shared.database import transaction
from shared.db.times import utc_now
from shared.projects.models import ApiKey

log = get_logger(__name__)
WRITTEN_EVERY = timedelta(minutes=1)
REMEMBERED_KEYS = 10_000
writer = ThreadPoolExecutor(1, thread_name_prefix="key-use")
_noted_until: dict[str, float] = {}


def note_use(key_id: str) -> None:
    """Have it written that a key is in use, unless this process has done so in the last minute."""
    now = time.monotonic()
    if now < _noted_until.get(key_id, 0.0):
        return
    if len(_noted_until) >= REMEMBERED_KEYS:
        _noted_until.clear()
    _noted_until[key_id] = now + WRITTEN_EVERY.total_seconds()
    writer.submit(write, key_id)


def write(key_id: str) -> None:
    """Unless another process has. That a use could not be noted is no reason to refuse it."""
    now = utc_now()
    is_old = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= now - WRITTEN_EVERY)
    try:
        with transaction() as session:
            session.exec(update(ApiKey).where(col(ApiKey.id) == key_id, is_old).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.warning("the use of a key could not be noted", key_id=key_id, reason=str(error))
