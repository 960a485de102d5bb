"""Orders the waiting jobs of a queue: by fair shares between projects, by priority and age inside each.

Stride scheduling: the virtual time of a waiting job is the `virtual_time` of its project, plus 1/weight for each of the
project's jobs before it. The smallest is next. A project that comes, or comes back, starts at the `virtual_time` of the
queue, so having been away gives neither credit nor debt.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from shared.jobs.models import IS_HELD, IS_WAITING, Priority
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
)
SELECT turn.id, s.project_id, s.start + turn.before * s.stride AS virtual, s.stride
FROM (SELECT * FROM shares WHERE room > 0 ORDER BY start LIMIT :count) s
CROSS JOIN LATERAL (
    SELECT id, row_number() OVER (ORDER BY priority, id) - 1 AS before FROM jobs
    WHERE queue_id = :queue AND project_id = s.project_id AND priority <= :lowest AND {IS_WAITING}
    ORDER BY priority, id LIMIT greatest(least(s.room, :count), 0)
) turn
ORDER BY virtual, turn.id LIMIT :count
""")


def turns(session: Session, queue: JobQueue, count: int, lowest: Priority = Priority.LOW) -> list[Turn]:
    """Return the first `count` jobs that may be admitted, without those that exceed their project's own limit."""
    if count <= 0:
        return []
    values = {
        "queue": queue.id,
        "clock": queue.virtual_time,
        "most": get_settings().provider.max_active_jobs,
        "count": count,
        "lowest": int(lowest),
    }
    return [Turn(*found) for found in session.connection().execute(_TURNS, values)]


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
