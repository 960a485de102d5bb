"""Thins the metrics of jobs that ended long ago: the curve stays, with fewer points."""

from datetime import datetime

from sqlalchemy import text, update
from sqlmodel import Session, col, select

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.settings import get_settings

JOBS_PER_BATCH = 20
EVENTS_PER_BATCH = 5_000  # a job may have 100,000 steps, and no transaction is to be long

# What is left of a curve: its last point, the first in each of as many equal intervals of steps as there are to be
# points, and each at which the model was validated. Another run finds the same ones, so that a run may end anywhere.
_THIN = text(
    """
    delete from job_events where id in (
        select steps.id from (
            select id, data, floor(step / width) as interval, lag(floor(step / width)) over (order by id) as before
            from (
                select id, data, (data ->> 'step')::numeric as step from job_events
                where job_id = :job_id and type = 'metrics' and jsonb_typeof(data -> 'step') = 'number'
            ) as numbered
            cross join (
                select (data ->> 'step')::numeric / :points as width from job_events
                where job_id = :job_id and type = 'metrics' and jsonb_typeof(data -> 'step') = 'number'
                order by id desc limit 1
            ) as last
            where width > 1
        ) as steps
        where interval = before and data -> 'valid_loss' is null and data -> 'full_valid_loss' is null
            and id <> (
                select max(id) from job_events
                where job_id = :job_id and type = 'metrics' and jsonb_typeof(data -> 'step') = 'number'
            )
        order by id limit :events
    )
    """
)


def thin_metrics(session: Session, before: datetime) -> int:
    """Thin the metrics of jobs that ended before this time, once each. Returns how many jobs it has looked at."""
    old = select(Job.id).where(col(Job.finished_at) < before, col(Job.metrics_thinned_at).is_(None))
    old = old.order_by(col(Job.finished_at)).limit(JOBS_PER_BATCH).with_for_update(skip_locked=True, key_share=True)
    ids, thinned, left = list(session.exec(old)), [], EVENTS_PER_BATCH
    for id in ids:
        values = {"job_id": id, "points": get_settings().retention.metrics_points, "events": left}
        left -= session.connection().execute(_THIN, values).rowcount
        if left == 0:  # the next batch goes on with this job
            break
        thinned.append(id)
    if thinned:
        session.exec(update(Job).where(col(Job.id).in_(thinned)).values(metrics_thinned_at=utc_now()))
    return len(ids)
