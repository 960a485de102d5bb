"""Records when each API key was last used, at most once a minute and in a separate thread: no request waits for it."""

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
WRITE_INTERVAL = timedelta(minutes=1)
MAX_CACHED_KEYS = 10_000
writer = ThreadPoolExecutor(1, thread_name_prefix="key-use")
_next_write_at: dict[str, float] = {}


def record_use(key_id: str) -> None:
    """Schedule a write of `last_used_at`, unless this process has scheduled one in the last minute."""
    now = time.monotonic()
    if now < _next_write_at.get(key_id, 0.0):
        return
    if len(_next_write_at) >= MAX_CACHED_KEYS:
        _next_write_at.clear()
    _next_write_at[key_id] = now + WRITE_INTERVAL.total_seconds()
    writer.submit(write, key_id)


def write(key_id: str) -> None:
    """Set `last_used_at`, unless another process has done so in the last minute. A failure is only logged."""
    now = utc_now()
    is_old = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= now - WRITE_INTERVAL)
    try:
        with transaction() as session:
            session.exec(update(ApiKey).where(col(ApiKey.id) == key_id, is_old).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.warning("the last use of an API key cannot be recorded", key_id=key_id, reason=str(error))
