"""Thins the metrics of jobs that ended long ago: the curve stays, with fewer points."""

from datetime import datetime

from sqlalchemy import text, update
from sqlmodel import Session, col, select

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.settings import get_settings

JOBS_PER_BATCH = 2  # each may have 100,000 steps, and the sweep waits for a round of batches

# What is left of a curve: its first and last point, every k-th, and each at which the model was validated.
_THIN = text(
    """
    delete from job_events where id in (
        select id from (
            select id, data, row_number() over steps as number, count(*) over (partition by job_id) as total
            from job_events where job_id = any(:job_ids) and type = 'metrics'
            window steps as (partition by job_id order by id)
        ) as numbered
        where total > :points and number not in (1, total)
            and number % ceil(total::numeric / :points)::bigint <> 0
            and data -> 'valid_loss' is null and data -> 'full_valid_loss' is null
    )
    """
)


def thin_metrics(session: Session, before: datetime) -> int:
    """Thin the metrics of a batch of jobs that ended before this time, once each. Returns how many jobs."""
    old = select(Job.id).where(col(Job.finished_at) < before, col(Job.metrics_thinned_at).is_(None))
    old = old.order_by(col(Job.finished_at)).limit(JOBS_PER_BATCH).with_for_update(skip_locked=True, key_share=True)
    ids = list(session.exec(old))
    if ids:
        values = {"job_ids": ids, "points": get_settings().retention.metrics_points}
        session.connection().execute(_THIN, values)
        session.exec(update(Job).where(col(Job.id).in_(ids)).values(metrics_thinned_at=utc_now()))
    return len(ids)
