"""When each key was last used: written now and then, behind the request, which does not wait for it."""

import asyncio
import time
from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, or_
from starlette.concurrency import run_in_threadpool
from structlog import get_logger

from shared.database import transaction
from shared.projects.models import ApiKey
from shared.tables import utc_now

log = get_logger(__name__)
WRITTEN_EVERY = timedelta(minutes=1)
REMEMBERED_KEYS = 10_000
_noted: dict[str, float] = {}
_under_way: set[asyncio.Task[None]] = set()


def note_use(key_id: str) -> None:
    """Have it written that a key is in use, unless this process has done so in the last minute."""
    now = time.monotonic()
    if now < _noted.get(key_id, 0.0):
        return
    if len(_noted) >= REMEMBERED_KEYS:
        _noted.clear()
    _noted[key_id] = now + WRITTEN_EVERY.total_seconds()
    task = asyncio.create_task(run_in_threadpool(_write, key_id))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


def _write(key_id: str) -> None:
    """Another process may have done it. That a use is not noted is no reason to refuse it."""
    now = utc_now()
    is_old = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= now - WRITTEN_EVERY)
    try:
        with transaction() as session:
            session.exec(update(ApiKey).where(col(ApiKey.id) == key_id, is_old).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.warning("the use of a key could not be noted", key_id=key_id, reason=str(error))
