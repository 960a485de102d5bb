"""Orders the waiting jobs of a queue: by fair shares between projects, by priority and age inside each.

Stride scheduling: the virtual time of a waiting job is the `virtual_time` of its project, plus 1/weight for each of the
project's jobs before it. The smallest is next. A project that comes, or comes back, starts at the `virtual_time` of the
queue, so having been away gives neither credit nor debt.

The steps of a project's jobs run side by side and end in any order. So that its jobs start in the order in which they
were made, one is not admitted while an older one, of its priority or a higher one, may be about to ask for a slot.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from shared.db.times import utc_now
from shared.jobs.models import IS_HELD, IS_WAITING, MAY_ASK_FOR_A_SLOT, Job, Priority
from shared.jobs.queue.models import JobQueue
from shared.settings import get_settings


@dataclass(frozen=True)
class Turn:
    """A waiting job, its project, the virtual time at which it is next, and what that costs its project."""

    job_id: str
    project_id: str
    virtual: float
    stride: float


# Takes the first :count waiting projects and the first :count jobs of each: they contain the first :count jobs overall.
_TURNS = text(f"""
WITH held AS (SELECT project_id, count(*) AS jobs FROM jobs WHERE queue_id = :queue AND {IS_HELD} GROUP BY 1),
shares AS (
    SELECT s.project_id, greatest(s.virtual_time, :clock) AS start, 1 / p.weight AS stride,
        coalesce(p.max_active_jobs, CAST(:most AS int), 2147483647) - coalesce(held.jobs, 0) AS room
    FROM queue_shares s JOIN projects p ON p.id = s.project_id LEFT JOIN held ON held.project_id = s.project_id
    WHERE s.queue_id = :queue AND EXISTS (
        SELECT FROM jobs
        WHERE queue_id = :queue AND project_id = s.project_id AND priority <= :lowest AND {IS_WAITING}
    )
),
coming AS (
    SELECT project_id, priority, min(id) AS oldest FROM jobs
    WHERE :in_order AND project_id IN (SELECT project_id FROM shares) AND {MAY_ASK_FOR_A_SLOT} GROUP BY 1, 2
)
SELECT turn.id, s.project_id, s.start + turn.before * s.stride AS virtual, s.stride
FROM (SELECT * FROM shares WHERE room > 0 ORDER BY start LIMIT :count) s
CROSS JOIN LATERAL (
    SELECT id, row_number() OVER (ORDER BY priority, id) - 1 AS before FROM jobs
    WHERE queue_id = :queue AND project_id = s.project_id AND priority <= :lowest AND {IS_WAITING}
        AND NOT EXISTS (
            SELECT FROM coming
            WHERE project_id = s.project_id AND priority <= jobs.priority AND oldest < jobs.id
        )
    ORDER BY priority, id LIMIT greatest(least(s.room, :count), 0)
) turn
ORDER BY virtual, turn.id LIMIT :count
""")


def turns(
    session: Session, queue: JobQueue, count: int, lowest: Priority = Priority.LOW, *, in_order: bool = True
) -> list[Turn]:
    """Return the first `count` jobs that may be admitted, without those that exceed their project's own limit.

    With `in_order`, also without those behind which an older one may be about to ask for a slot.
    """
    if count <= 0:
        return []
    values = {
        "queue": queue.id,
        "clock": queue.virtual_time,
        "most": get_settings().provider.max_active_jobs,
        "count": count,
        "lowest": int(lowest),
        "in_order": in_order,
        "now": utc_now(),
    }
    return [Turn(*found) for found in session.connection().execute(_TURNS, values)]


_IS_BEHIND = text(f"""
SELECT EXISTS (
    SELECT FROM jobs WHERE project_id = :project AND priority <= :priority AND id < :id AND {MAY_ASK_FOR_A_SLOT}
)
""")
_IS_ANY_BEHIND = text(f"""
SELECT EXISTS (
    SELECT FROM queue_shares s CROSS JOIN LATERAL (
        SELECT min(id) AS oldest FROM jobs WHERE project_id = s.project_id AND {MAY_ASK_FOR_A_SLOT}
    ) coming
    WHERE s.queue_id = :queue AND EXISTS (
        SELECT FROM jobs
        WHERE queue_id = :queue AND project_id = s.project_id AND id > coming.oldest AND {IS_WAITING}
    )
)
""")


def is_behind(session: Session, job: Job) -> bool:
    """Whether an older job of its project, of its priority or a higher one, may be about to ask for a slot."""
    values = {"project": job.project_id, "priority": job.priority, "id": job.id, "now": utc_now()}
    session.flush()
    return bool(session.connection().execute(_IS_BEHIND, values).scalar_one())


def is_any_behind(session: Session, queue: JobQueue) -> bool:
    """Whether a job waits in the queue behind which an older one may be about to ask for a slot."""
    values = {"queue": queue.id, "now": utc_now()}
    return bool(session.connection().execute(_IS_ANY_BEHIND, values).scalar_one())


_CHARGE = text("""
UPDATE queue_shares SET virtual_time = greatest(virtual_time, :clock) + :cost
WHERE queue_id = :queue AND project_id = :project
""")


def charge(session: Session, queue: JobQueue, admitted: list[Turn]) -> None:
    """Advance the virtual times of the projects whose jobs were admitted, and of the queue."""
    costs: dict[str, float] = {}
    for turn in admitted:
        costs[turn.project_id] = costs.get(turn.project_id, 0.0) + turn.stride
    for project_id, cost in costs.items():
        values = {"queue": queue.id, "project": project_id, "clock": queue.virtual_time, "cost": cost}
        session.connection().execute(_CHARGE, values)
    queue.virtual_time = max([queue.virtual_time, *(turn.virtual for turn in admitted)])


_COUNT = text(f"""
SELECT count(*), count(*) FILTER (WHERE provider_job_id IS NULL) FROM jobs WHERE queue_id = :queue AND {IS_HELD}
""")
_WAITING = text(f"""
SELECT count(*) FROM (SELECT FROM jobs WHERE queue_id = :queue AND {IS_WAITING} LIMIT :most) AS few
""")


def held(session: Session, queue: JobQueue) -> tuple[int, int]:
    """Return how many jobs have a slot, and how many of those are still being created."""
    session.flush()
    jobs, creating = session.connection().execute(_COUNT, {"queue": queue.id}).one()
    return jobs, creating


def waiting(session: Session, queue: JobQueue, most: int) -> int:
    """Return how many jobs wait, at most `most`: counting stops there."""
    session.flush()
    return int(session.connection().execute(_WAITING, {"queue": queue.id, "most": most}).scalar_one())


_WRITE_POSITIONS = text(f"""
WITH ranked AS (
    SELECT jobs.id, new.position, new.start FROM jobs
    JOIN unnest(CAST(:ids AS text[]), CAST(:positions AS int[]), CAST(:starts AS timestamptz[]))
        AS new(id, position, start) ON new.id = jobs.id
    WHERE {IS_WAITING} FOR NO KEY UPDATE OF jobs SKIP LOCKED
)
UPDATE jobs SET queue_position = ranked.position, estimated_start_at = ranked.start
FROM ranked WHERE jobs.id = ranked.id
""")


def write_positions(session: Session, positions: dict[str, int | None], starts: dict[str, datetime | None]) -> None:
    """Write positions and expected starts on the jobs that wait; locked jobs are skipped."""
    if positions:
        values = {
            "ids": list(positions),
            "positions": list(positions.values()),
            "starts": [starts.get(id) for id in positions],
        }
        session.connection().execute(_WRITE_POSITIONS, values)
