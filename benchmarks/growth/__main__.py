"""Measures every question of the API with 100 jobs and with 100,000, and how large the tables are.

`python -m benchmarks.growth [--jobs 100000]`

Jobs are written by SQL, over a year: ten events each, half as many files and tuned models, and the ledger, audit,
webhook events, deliveries and e-mails in proportion. Nothing is due, and the worker and the beat are suspended.
"""

import argparse
import http.client
import statistics
import time
from urllib.parse import urlsplit

import psycopg

from benchmarks.growth.filling import YEAR, Period, Template, fill, size_mb
from benchmarks.growth.questions import Question, Subject, questions
from benchmarks.stack import Measured, measured_stack, print_table, uploaded
from cli.local.stack import OWNER_URL

TIMES = 15
FEW_JOBS = 100
MOST = 2.0  # times as long as with few jobs
MODELS_SECONDS = 1.0
TABLES = ("jobs", "job_events", "webhook_events", "webhook_deliveries", "ledger_entries", "audit_logs")
# A process that is suspended within a transaction would keep Postgres from vacuuming.
_END_TRANSACTIONS = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where state like 'idle in transaction%'"
)
Row = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args().jobs
    with measured_stack(TUNERY_LOG_LEVEL="warning") as stack:
        bench = Bench(stack)
        bench.fill(FEW_JOBS, "few")
        few = bench.measure()
        started = time.monotonic()
        bench.fill(jobs, "many")
        print(f"{jobs:,} jobs were written in {time.monotonic() - started:.0f} s\n")
        many = bench.measure()
        rows = [_row(name, few[name], many[name]) for name in sorted(few, key=lambda name: -many[name] / few[name])]
        rows += bench.models()
        rows += [(f"size of {table}", "-", f"{size_mb(bench.url, table):,.0f} MB") for table in TABLES]
        rows += [("size of the database", "-", f"{size_mb(bench.url):,.0f} MB")]
    print_table(rows)


class Bench:
    """A stack whose worker and beat are suspended, and the rows of which all others are copies."""

    def __init__(self, stack: Measured) -> None:
        self.stack = stack
        self._address = urlsplit(stack.base_url)
        owner = stack.environ.get(OWNER_URL) or stack.environ["DATABASE_URL"]  # the servers may not write sums
        self.url = owner.replace("postgresql+psycopg://", "postgresql://", 1)
        client = stack.openai
        file_id = uploaded(client)
        while not client.get(f"/datasets/{file_id}", cast_to=dict)["tokens_counted"]:
            time.sleep(0.1)
        for name in ("worker", "beat", "sender"):
            stack.processes[name].suspend()
        self._one(_END_TRANSACTIONS)
        job = client.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini")
        client.fine_tuning.jobs.cancel(job.id)
        endpoint = client.post(
            "/webhook_endpoints",
            cast_to=dict,
            body={
                "name": "growth",
                "url": "https://example.com/hooks",
                "event_types": ["fine_tuning.job.created", "budget.threshold_reached"],
            },
        )
        limit = f"/organization/projects/{stack.project_id}/spend_limit"
        admin = client.with_options(api_key=stack.admin_key)
        admin.post(limit, cast_to=dict, body={"interval": "month", "currency": "USD", "threshold_amount": 10**9})
        self._template = Template(job.id, file_id, endpoint["id"], self._one("select min(id) from api_keys"))

    def fill(self, jobs: int, batch: str, period: Period = YEAR) -> None:
        fill(self.url, self.stack.project_id, self._template, jobs, batch, period)

    def measure(self) -> dict[str, float]:
        """Seconds of each question: the first quartile, since the machine has other work in between."""
        self._connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port)
        asked = questions(self._subject())
        for question in asked:
            self._ask(question)
        took = {each.name: [self._ask(each) for _ in range(TIMES)] for each in asked}
        return {name: statistics.quantiles(each, n=4)[0] for name, each in took.items()}

    def models(self) -> list[Row]:
        """OpenAI's list of models has no pages: it takes longer the more it answers."""
        took = statistics.median(self._ask(Question("models", "/models")) for _ in range(3))
        count = int(self._one("select count(*) from tuned_models"))
        return [(f"all {count:,} models, in one answer", f"≤ {MODELS_SECONDS:.0f} s", f"{took:.2f} s")]

    def _subject(self) -> Subject:
        """Of the rows in the middle of the year."""
        its, at = f"project_id = '{self.stack.project_id}'", "created_at < now() - interval '180 days'"
        newest = {
            table: f"select max(id) from {table} where {its} and {at}"
            for table in ("jobs", "webhook_events", "webhook_deliveries", "ledger_entries")
        }
        is_shown = f"{its} and deleted_at is null and purpose = 'fine-tune'"
        return Subject(
            project=self.stack.project_id,
            job=self._one(newest["jobs"]),
            file=self._one(f"select max(id) from datasets where {is_shown} and {at}"),
            whole=self._one(f"select min(source ->> 'split_of') from datasets where {is_shown} and source is not null"),
            model=self._one(f"select max(name) from tuned_models where {its} and {at}"),
            event=self._one(newest["webhook_events"]),
            endpoint=self._template.endpoint,
            delivery=self._one(newest["webhook_deliveries"]),
            entry=self._one(newest["ledger_entries"]),
        )

    def _one(self, query: str) -> str:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None, query
        return row[0] if isinstance(row[0], str) else f"{row[0]}"

    def _ask(self, question: Question) -> float:
        """Seconds from the request to the last byte of the answer."""
        key = self.stack.admin_key if question.as_admin else self.stack.api_key
        started = time.perf_counter()
        self._connection.request("GET", self._address.path + question.path, headers={"authorization": f"Bearer {key}"})
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{question}: {response.status} {body[:300]!r}")
        return time.perf_counter() - started


def _row(name: str, few: float, many: float) -> Row:
    return (name, f"≤ {MOST:.0f} ×", f"{many / few:5.2f} ×   {few * 1000:6.1f} → {many * 1000:6.1f} ms")


if __name__ == "__main__":
    main()
