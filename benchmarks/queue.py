"""Measures the cost of the fair queue with 100 and 50,000 waiting jobs, and how far any project is from its share.

`python -m benchmarks.queue`

The waiting jobs are copies of one job, written and ended by SQL. Only the queue's step runs, in this process, while the
worker is suspended; retrieve and list are requests to the api over HTTP.
"""

import http.client
import os
import statistics
import time
from collections import Counter
from urllib.parse import urlsplit

from sqlalchemy import text

from benchmarks.stack import Measured, measured_stack, print_table, uploaded
from shared.database import get_engine, owner_engine, transaction
from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.jobs.queue.models import JobQueue
from shared.projects import service as projects
from worker.jobs import admission, fair_share
from worker.runtime.steps import run

Row = tuple[str, str, str]
SLOTS = 3
MODEL = "gpt-4o-mini"


def main() -> None:
    with measured_stack(TUNERY_PROVIDER__SLOTS=f'{{"*": {SLOTS}}}', TUNERY_LOG_LEVEL="warning") as stack:
        os.environ.update(stack.environ)
        bench = Bench(stack)
        rows = [*bench.cost(100), *bench.cost(50_000), *bench.fairness()]
        get_engine().dispose()
    print_table(rows)


class Bench:
    """The stack without its worker, and one job, of which the waiting ones are copies."""

    def __init__(self, stack: Measured) -> None:
        self.stack = stack
        client = stack.openai
        file_id = uploaded(client)
        for name in ("worker", "beat"):
            stack.processes[name].suspend()
        self.job_id = client.fine_tuning.jobs.create(training_file=file_id, model=MODEL).id
        with transaction() as session:
            job = session.get_one(Job, self.job_id)
            self.first_project = job.project_id
            queue = JobQueue(credential_id=job.credential_id, model=MODEL, due_at=None)
            session.add(queue)
            session.flush()
            self.queue_id = queue.id

    def cost(self, count: int) -> list[Row]:
        """Measures picks, rounds and requests with this many waiting jobs of five projects."""
        names = [self.first_project, *self._projects(4)]
        for project_id in names:
            self._fill(project_id, count // 5)
        picks, rounds, ranks = [], [], []
        for _ in range(20):
            picks.append(self._pick())
            rounds.append(self._round(ranks_too=False))
            ranks.append(self._round(ranks_too=True))
            self._end_all()
        with get_engine().connect() as connection:
            job_id = connection.execute(
                text("select max(id) from jobs where project_id = :id and slot = 'waiting'"), {"id": names[0]}
            ).scalar_one()
        rows = [
            (f"{count:,} waiting: picking the next", "≤ 10 ms", _ms(picks)),
            (f"{count:,} waiting: a round that admits {SLOTS}", "-", _ms(rounds)),
            (f"{count:,} waiting: a round that ranks {admission.MAX_RANKED_JOBS} jobs", "-", _ms(ranks)),
            (f"{count:,} waiting: retrieve", "as with 100", _ms(self._ask(f"/fine_tuning/jobs/{job_id}"))),
            (f"{count:,} waiting: list of 20", "as with 100", _ms(self._ask("/fine_tuning/jobs?limit=20"))),
        ]
        self._empty()
        return rows

    def fairness(self) -> list[Row]:
        """Projects of different weights with 1, 10, 100 and 1,000 jobs; in the tenth round another one joins."""
        counts, weights = [1, 10, 100, 1000], [1.0, 1.0, 2.0, 1.0]
        names = self._projects(4, weights)
        for project_id, count in zip(names, counts, strict=True):
            self._fill(project_id, count)
        given: list[Counter[str]] = []
        late, late_after = self._projects(1)[0], 0
        for number in range(60):
            if number == 10:
                self._fill(late, 1)
            self._round(ranks_too=False)
            given.append(self._end_all())
            late_after = number - 9 if given[-1][late] else late_after
        worst = _worst(given, dict(zip(names, counts, strict=True)), dict(zip(names, weights, strict=True)))
        self._empty()
        return [
            ("fairness: farthest from its share while it waits", "≤ 10 %", f"{worst:.1%}"),
            ("fairness: a late job starts in its round number", "≤ 2", str(late_after)),
        ]

    def _projects(self, count: int, weights: list[float] | None = None) -> list[str]:
        with transaction() as session:
            made = [projects.create_project(session, f"team {number}") for number in range(count)]
            for project, weight in zip(made, weights or [1.0] * count, strict=True):
                project.weight = weight
            return [project.id for project in made]

    def _fill(self, project_id: str, count: int) -> None:
        """Writes waiting copies of the job; their ids sort by number."""
        with transaction() as session:
            names = [
                name for name in Job.model_fields if name not in {"id", "project_id", "queue_id", "status", "slot"}
            ]
            columns = ", ".join(f'"{name}"' for name in [*names, "id", "project_id", "queue_id", "status", "slot"])
            copied = ", ".join("NULL" if name == "due_at" else f'"{name}"' for name in names)
            session.connection().execute(
                text(
                    f"insert into jobs ({columns}) select {copied}, 'ftjob-' || lpad(n::text, 9, '0') || :project,"
                    " :project, :queue, 'queued', 'waiting' from jobs, generate_series(1, :count) n where id = :job"
                ),
                {"project": project_id, "queue": self.queue_id, "count": count, "job": self.job_id},
            )
            session.connection().execute(
                text(
                    "insert into queue_shares (id, created_at, queue_id, project_id, virtual_time)"
                    " values ('share_' || :project, now(), :queue, :project, 0)"
                ),
                {"project": project_id, "queue": self.queue_id},
            )
        with owner_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("analyze jobs"))

    def _pick(self) -> float:
        with transaction() as session:
            queue = session.get_one(JobQueue, self.queue_id)
            started = time.perf_counter()
            assert fair_share.turns(session, queue, 1)
            return time.perf_counter() - started

    def _round(self, *, ranks_too: bool) -> float:
        with transaction() as session:
            queue = session.get_one(JobQueue, self.queue_id)
            queue.due_at, queue.ranked_at = utc_now(), None if ranks_too else utc_now()
        started = time.perf_counter()
        run(admission.admit, self.queue_id)
        return time.perf_counter() - started

    def _end_all(self) -> Counter[str]:
        """Ends all running jobs; their number by project."""
        with transaction() as session:
            ended = text(
                "update jobs set status = 'succeeded', slot = null, due_at = null where slot = 'held'"
                " returning project_id"
            )
            return Counter(session.connection().execute(ended).scalars())

    def _empty(self) -> None:
        with transaction() as session:
            for statement in (
                "delete from job_events",
                f"delete from jobs where id <> '{self.job_id}'",
                "delete from queue_shares",
                "update job_queues set due_at = null, virtual_time = 0, ranked_job_ids = '[]', freed_at = '[]',"
                " held = 0",
            ):
                session.connection().execute(text(statement))

    def _ask(self, path: str) -> list[float]:
        address = urlsplit(self.stack.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        took = []
        for _ in range(200):
            started = time.perf_counter()
            connection.request("GET", address.path + path, headers={"authorization": f"Bearer {self.stack.api_key}"})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: {response.status}")
            took.append(time.perf_counter() - started)
        return took


def _worst(given: list[Counter[str]], jobs: dict[str, int], weights: dict[str, float]) -> float:
    """The largest relative distance between the slots a waiting project got and its share by weight.

    Projects with fewer than ten jobs do not count, because a slot cannot be halved.
    """
    left, had, due = dict(jobs), dict.fromkeys(jobs, 0), dict.fromkeys(jobs, 0.0)
    worst = 0.0
    for one_round in given:
        waiting = [name for name in left if left[name] > 0]
        for name in waiting:
            due[name] += sum(one_round.values()) * weights[name] / sum(weights[each] for each in waiting)
            had[name] += one_round[name]
            left[name] -= one_round[name]
            if had[name] >= 10:
                worst = max(worst, abs(had[name] / due[name] - 1))
    return worst


def _ms(took: list[float]) -> str:
    ordered = sorted(took)
    return f"{statistics.median(ordered) * 1000:.1f} ms (p99 {ordered[int(len(ordered) * 0.99)] * 1000:.1f})"


if __name__ == "__main__":
    main()
