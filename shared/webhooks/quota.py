"""Limits events that are written on request: no sample and no test after so many events of any kind in 24 hours.

Events of what happens to jobs and files are always written; the limits of jobs and files bound them.
"""

from datetime import timedelta

from sqlmodel import Session, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.ids import first_id
from shared.db.quotas import RecentCount, Use, count_up_to
from shared.db.times import utc_now
from shared.projects.quotas import quotas_in_force
from shared.webhooks.models import WebhookEvent

DAY = timedelta(days=1)
_recent = RecentCount()


def events_of_a_day(project_id: str) -> SelectOfScalar[str]:
    since = first_id(WebhookEvent.id_prefix, utc_now() - DAY)
    return select(WebhookEvent.id).where(WebhookEvent.project_id == project_id, WebhookEvent.id >= since)


def check_events(session: Session, project_id: str) -> None:
    """Raises `QuotaExceeded` if the project has had its events of 24 hours. Call it before each event on request."""

    def look() -> Use:
        limit = quotas_in_force(session, project_id).events_per_day
        return Use(0 if limit is None else count_up_to(session, events_of_a_day(project_id), limit), limit)

    advice = "samples and tests are sent again when there are fewer in 24 hours"
    _recent.take("events_per_day", project_id, look, advice)
