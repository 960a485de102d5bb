"""The metrics of several jobs beside each other: their losses, and their curves at the same steps.

Callers have checked that the jobs are the project's own.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import String, any_, literal, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, col, select

from shared.jobs.metrics import LOSSES, MetricsPoint
from shared.jobs.models import JobEvent

_NUMBERED = "type = 'metrics' and jsonb_typeof(data -> 'step') = 'number'"
# Arrays are compared by their first element, then by the second: the lowest loss with its step, the last step with its.
_LOSSES = text(
    f"""
    select job_id, name, min(array[loss, step]), max(array[step, loss]),
        max(array[step, loss]) filter (where step <= :at)
    from (
        select job_id, name, (data ->> 'step')::numeric as step, (data ->> name)::numeric as loss
        from job_events cross join unnest(cast(:names as text[])) as name
        where job_id = any(:ids) and {_NUMBERED} and jsonb_typeof(data -> name) = 'number'
    ) as known
    group by job_id, name
    """
)
# The first step of each interval, the first one there at which the model was validated, and the last of all. The
# intervals are the same for all jobs, so that jobs of any length have their points at the same steps.
_POINT_IDS = text(
    f"""
    with numbered as (
        select id, job_id, (data ->> 'step')::numeric as step,
            coalesce('number' in (jsonb_typeof(data -> 'valid_loss'), jsonb_typeof(data -> 'full_valid_loss')), false)
                as is_validated
        from job_events where job_id = any(:ids) and {_NUMBERED}
    )
    select min(id) from numbered
    group by job_id, floor(step / (select greatest(max(step) / :points, 1) from numbered)), is_validated
    union select max(id) from numbered group by job_id
    """
)


class AtStep(NamedTuple):
    loss: float
    step: int


class Losses(NamedTuple):
    """Of one curve the lowest and the last; `chosen` is the last up to the step that was asked for."""

    best: AtStep
    last: AtStep
    chosen: AtStep | None


def losses(session: Session, job_ids: Sequence[str], at_step: int | None) -> dict[str, dict[str, Losses]]:
    """Return by job and by curve (`train_loss`, `valid_loss`, `full_valid_loss`) what is known."""
    values = {"ids": list(job_ids), "names": list(LOSSES), "at": at_step}
    found: dict[str, dict[str, Losses]] = {id: {} for id in job_ids}
    for job_id, name, best, last, chosen in session.connection().execute(_LOSSES, values):
        found[job_id][name] = Losses(_at(*best), _at(*reversed(last)), _at(*reversed(chosen)) if chosen else None)
    return found


def _at(loss: Decimal, step: Decimal) -> AtStep:
    return AtStep(float(loss), int(step))


def points(session: Session, job_ids: Sequence[str], count: int) -> Mapping[str, list[MetricsPoint]]:
    """Return the points of each job, about `count` of the longest, at steps that the jobs have in common."""
    found: dict[str, list[MetricsPoint]] = {id: [] for id in job_ids}
    ids = list(session.connection().execute(_POINT_IDS, {"ids": list(job_ids), "points": count}).scalars())
    # In a second query: in one, Postgres may compare each event with each of these ids.
    query = select(JobEvent.job_id, JobEvent.data).where(col(JobEvent.id) == any_(literal(ids, ARRAY(String))))
    for job_id, data in session.exec(query.order_by(JobEvent.id)):
        found[job_id].append(MetricsPoint.of(data or {}))
    return found
