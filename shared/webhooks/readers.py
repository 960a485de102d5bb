"""Notes which projects read their events themselves: for the others that have no endpoint none are written."""

from datetime import timedelta

from sqlalchemy import update
from sqlmodel import Session, col, or_, select

from shared.db.times import utc_now
from shared.projects.models import Project
from shared.settings import get_settings

FORGOTTEN_AFTER = timedelta(days=30)
NOTE_EVERY = timedelta(hours=1)


def note_readers(session: Session, project_ids: list[str]) -> None:
    """From now on the projects' events are written, for 30 days after they last read them."""
    long_ago = or_(col(Project.events_read_at).is_(None), col(Project.events_read_at) < utc_now() - NOTE_EVERY)
    session.exec(update(Project).where(col(Project.id).in_(project_ids), long_ago).values(events_read_at=utc_now()))


def has_readers(session: Session, project_id: str) -> bool:
    if get_settings().retention.unread_events:
        return True
    read_at = session.exec(select(Project.events_read_at).where(Project.id == project_id)).one_or_none()
    return read_at is not None and read_at > utc_now() - FORGOTTEN_AFTER
