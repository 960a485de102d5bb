"""Records when each API key and each tuned model was last used: at most once a minute, in a separate thread.

No request waits for it.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped
from sqlmodel import col, or_
from structlog import get_logger

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import TunedModel
from shared.projects.models import ApiKey

log = get_logger(__name__)
WRITE_INTERVAL = timedelta(minutes=1)
MAX_CACHED = 10_000  # keys and models
writer = ThreadPoolExecutor(1, thread_name_prefix="last-use")
_next_write_at: dict[tuple[str, ...], float] = {}


def record_use(key_id: str) -> None:
    """Schedule a write of a key's `last_used_at`, unless this process has scheduled one in the last minute."""
    _schedule(write, key_id)


def record_asked(project_id: str, model: str) -> None:
    """The same for a tuned model of the project. For the name of another model it writes nothing."""
    _schedule(write_asked, project_id, model)


def _schedule(write: Callable[..., None], *what: str) -> None:
    now = time.monotonic()
    if now < _next_write_at.get(what, 0.0):
        return
    if len(_next_write_at) >= MAX_CACHED:
        _next_write_at.clear()
    _next_write_at[what] = now + WRITE_INTERVAL.total_seconds()
    writer.submit(write, *what)


def write(key_id: str) -> None:
    """Set `last_used_at`, unless another process has done so in the last minute. A failure is only logged."""
    now = utc_now()
    try:
        with transaction() as session:
            is_this = col(ApiKey.id) == key_id, _is_old(col(ApiKey.last_used_at), now)
            session.exec(update(ApiKey).where(*is_this).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.warning("the last use of an API key cannot be recorded", key_id=key_id, reason=str(error))


def write_asked(project_id: str, model: str) -> None:
    """The same for a tuned model."""
    now = utc_now()
    try:
        with transaction(project_id) as session:
            is_own = col(TunedModel.project_id) == project_id, col(TunedModel.name) == model
            is_old = _is_old(col(TunedModel.last_used_at), now)
            session.exec(update(TunedModel).where(*is_own, is_old).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.warning("the last use of a model cannot be recorded", project_id=project_id, reason=str(error))


def _is_old(column: Mapped[datetime | None], now: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now - WRITE_INTERVAL)
