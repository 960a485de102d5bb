"""Measures the calls to the provider for many active jobs, and the delay from a status change to its webhook.

`python -m benchmarks.watching`

The jobs are copies of one training job, made by the sandbox and by SQL in our table, in the state of jobs without news
for an hour. All settings of polling have their defaults.
"""

import os
import statistics
import time
from functools import partial
from typing import Any

import httpx2
import psutil
from sqlalchemy import text

from benchmarks.stack import Measured, Row, measured_stack, noted, print_table, uploaded, wait_until
from cli.local.receiver import Receiver
from shared.database import get_engine

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wcm92aWRlcidzLXdlYmhvb2s="
WINDOW = 120.0  # seconds of each measurement
CHANGES = 100  # jobs that end during a measurement
MODEL = "gpt-4o-mini"


def main() -> None:
    settings = {
        "TUNERY_PROVIDER__WEBHOOK_SECRET": SECRET,
        "TUNERY_PROVIDER__SLOTS": '{"*": 100000}',
        "TUNERY_LOG_LEVEL": "warning",
        "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
        "SANDBOX_MAX_JOBS_PER_DAY": "100000",
        "SANDBOX_SPEED": "0.1",  # on a busy machine jobs would end before this ends them
    }
    with measured_stack(**settings) as stack:
        os.environ.update(stack.environ)
        bench = Bench(stack)
        rows = [*noted(bench.latency())]
        for count in (100, 500, 1_000):
            rows += noted([bench.calls(count)])
        rows += noted(bench.load(10_000))
        get_engine().dispose()
    print_table(rows)


class Bench:
    def __init__(self, stack: Measured) -> None:
        self.stack = stack
        self.client = stack.openai
        self.sandbox = httpx2.Client(
            base_url=stack.sandbox_url.removesuffix("/v1"),
            headers={"authorization": f"Bearer {stack.sandbox_key}"},
            timeout=60,
        )
        self.file_id = uploaded(self.client)

    def latency(self) -> list[Row]:
        notified_at: dict[str, float] = {}

        def note(event: dict[str, Any]) -> None:
            notified_at[event["data"]["id"]] = time.monotonic()

        with Receiver(0, note) as receiver:
            endpoint = self.client.webhooks.create(
                name="measure", url=receiver.url, event_types=["fine_tuning.job.succeeded"]
            )
            receiver.secret = endpoint.signing_secret
            off = self._delays(notified_at)
            address = f"{self.stack.base_url}/provider_webhooks/{_sql('select id from credentials')[0][0]}"
            self._post("webhook", url=address, secret=SECRET)
            on = self._delays(notified_at)
        self.sandbox.delete("/sandbox/webhook").raise_for_status()
        _sql("update webhook_endpoints set disabled_at = now()")
        return [
            ("status change → webhook out, provider webhooks off", "p50 ≤ 3 s (interval 5 s)", _spread(off)),
            ("status change → webhook out, provider webhooks on", "p50 < 1 s", _spread(on)),
        ]

    def _delays(self, notified_at: dict[str, float]) -> list[float]:
        """Ends one job each second, at any point between two polls; the seconds until the webhook about each."""
        file_id, jobs = self.file_id, self.client.fine_tuning.jobs
        ids = [jobs.create(training_file=file_id, model=MODEL).id for _ in range(CHANGES)]
        created = "every job is created at the provider"
        wait_until(lambda: not _sql("select 1 from jobs where provider_job_id is null"), created)
        theirs = dict(_sql("select id, provider_job_id from jobs"))
        for id in ids:
            self._post(f"jobs/{theirs[id]}", status="running")
        wait_until(lambda: _count_running() == CHANGES, f"{CHANGES} jobs are known to run")
        ended = {}
        for id in ids:
            ended[id] = time.monotonic()
            self._post(f"jobs/{theirs[id]}", status="succeeded")
            time.sleep(1)
        wait_until(lambda: ended.keys() <= notified_at.keys(), "a webhook has come about each job that has ended")
        return [notified_at[id] - at for id, at in ended.items()]

    def _running(self) -> tuple[str, str]:
        """A job that runs until the benchmark ends it; its id and its provider id."""
        job = self.client.fine_tuning.jobs.create(training_file=self.file_id, model=MODEL)
        retrieve = partial(self.client.fine_tuning.jobs.retrieve, job.id)
        wait_until(lambda: bool(getattr(retrieve(), "provider_job_id", None)), "a job is created at the provider")
        theirs = str(getattr(retrieve(), "provider_job_id", ""))
        self._post(f"jobs/{theirs}", status="running")
        wait_until(lambda: retrieve().status == "running", "a job is known to run")
        return job.id, theirs

    def calls(self, count: int) -> Row:
        self.fill(count)
        wait_until(_was_listed, "the list of jobs was read in the last 10 s")
        time.sleep(5)
        before, started = self._total(), time.monotonic()
        time.sleep(WINDOW)
        per_minute = (self._total() - before) * 60 / (time.monotonic() - started)
        target = "≤ 30" if count == 1_000 else "1 less per 100 jobs less"
        return f"{count:,} active jobs, nothing changing: calls per minute", target, f"{per_minute:.1f}"

    def load(self, count: int) -> list[Row]:
        """Ends a hundred jobs without webhooks: the delay until that is known, late steps, CPU and memory."""
        theirs = self.fill(count)
        wait_until(_was_listed, "the list of jobs was read in the last 10 s")
        worker = self.stack.processes["worker"]
        cpu, started, late = _cpu(worker), time.monotonic(), []
        ended: dict[str, float] = {}
        while time.monotonic() - started < 2 * WINDOW:
            if len(ended) < CHANGES and time.monotonic() - started > WINDOW * len(ended) / CHANGES:
                self._post(f"jobs/{theirs[len(ended)]}", status="succeeded")
                ended[theirs[len(ended)]] = time.time()
            late.append(float(_sql(OVERDUE)[0][0]))
            time.sleep(0.25)
        busy = (_cpu(worker) - cpu) / (time.monotonic() - started)
        known = dict(
            _sql("select provider_job_id, extract(epoch from changed_at) from jobs where status = 'succeeded'")
        )
        waits = [float(known[id]) - at if id in known else float("inf") for id, at in ended.items()]
        processes = [worker, *worker.children(recursive=True)]
        memory = sum(process.memory_info().rss for process in processes) / 1e6
        return [
            (f"{count:,} active jobs: a change is known after", "p99 ≤ 1 interval (60 s)", _spread(waits)),
            (f"{count:,} active jobs: a due row waits for its step", "p99 ≤ 5 s", _spread(late)),
            (f"{count:,} active jobs: worker's CPU ({len(processes)} processes)", "-", f"{busy:.0%} of a core"),
            (f"{count:,} active jobs: worker's memory", "-", f"{memory:.0f} MB in all"),
        ]

    def fill(self, count: int) -> list[str]:
        """Makes this many active jobs without news for an hour; the provider ids of all but the first."""
        _sql("update jobs set status = 'cancelled', due_at = null where status = 'running'")
        job_id, theirs = self._running()
        answer = self._post(f"jobs/{theirs}/copies", count=count - 1)
        own = {"id", "provider_job_id", "last_provider_event_id", "estimated_finish_at"}
        names = [name for (name,) in _sql(COLUMNS) if name not in own]
        quoted = ", ".join(f'"{name}"' for name in names)
        made = answer["data"]
        lists = {"theirs": "id", "events": "newest_event", "finishes": "estimated_finish"}
        values = {name: [job[key] for job in made] for name, key in lists.items()}
        _sql(COPY.replace("COLUMNS", quoted), job=job_id, **values)
        _sql(QUIET, job=job_id, count=count)
        _sql(SLOW, count=count)
        return [job["id"] for job in made]

    def _total(self) -> int:
        return int(self.sandbox.get("/sandbox/requests").json()["total"])

    def _post(self, path: str, **body: Any) -> Any:
        return self.sandbox.post(f"/sandbox/{path}", json=body).raise_for_status().json()


COLUMNS = "select column_name from information_schema.columns where table_name = 'jobs'"
COPY = """
insert into jobs (id, provider_job_id, last_provider_event_id, estimated_finish_at, COLUMNS)
select id || '-' || new.theirs, new.theirs, new.event, to_timestamp(new.finish), COLUMNS from jobs,
    unnest(cast(:theirs as text[]), cast(:events as text[]), cast(:finishes as float[])) new(theirs, event, finish)
where id = :job
"""
QUIET = """
update jobs set changed_at = now() - interval '1 hour', due_at = now() + random() * :count * interval '5 seconds',
    failures = 0, retries = 0, provider_status = 'running' where id like :job || '%'
"""
SLOW = """
update watches set changed_at = now() - interval '1 hour', due_at = now(), enqueued_at = null,
    next_poll_at = now() + :count * interval '5 seconds'
"""
OVERDUE = """
select coalesce(max(extract(epoch from now() - due_at)), 0) from
    (select due_at from jobs where due_at <= now() union all select due_at from watches where due_at <= now()) late
"""


def _count_running() -> int:
    return int(_sql("select count(*) from jobs where status = 'running'")[0][0])


def _was_listed() -> bool:
    return bool(_sql("select 1 from watches where listed_at > now() - interval '10 seconds'"))


def _sql(statement: str, **values: Any) -> list[Any]:
    with get_engine().begin() as connection:
        result = connection.execute(text(statement), values)
        return list(result) if result.returns_rows else []


def _cpu(worker: psutil.Process) -> float:
    """CPU seconds of the worker and its children, including children that have ended."""
    children = sum(sum(child.cpu_times()[:2]) for child in worker.children(recursive=True))
    return float(sum(worker.cpu_times()[:4]) + children)


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {statistics.median(ordered):.2f} s, p99 {ordered[int(len(ordered) * 0.99)]:.2f} s"


if __name__ == "__main__":
    main()
