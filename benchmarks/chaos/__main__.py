"""Counts jobs that are lost, doubled or stuck while workers, Redis, Postgres and the provider fail.

`python -m benchmarks.chaos [--jobs 1000] [--slow]`

Five projects create their jobs through the api. Every 2 seconds one of three workers is killed (-9); Redis is killed 5
times and Postgres is stopped immediately 3 times; a fifth of the provider's answers are 429, 500 before or after the
effect, late, or missing. With `--slow` a tenth of the creates finish after our timeout instead, and the provider's list
lags 3 s. The clients retry with an `Idempotency-Key`. Leases and graces are short, so that the run takes minutes.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
from openai import OpenAI, OpenAIError

from benchmarks.chaos.havoc import PROVIDER_TIMEOUT, Havoc, Provider
from benchmarks.stack import Measured, lines, measured_stack, print_table
from cli.local.receiver import Receiver
from shared.database import get_engine, transaction
from shared.projects import service as projects

PROJECTS = 5
DATASETS = 4  # of each project
TIMEOUT_SECONDS = 600
FINAL = {"succeeded", "failed", "cancelled"}
SETTINGS = {
    "TUNERY_LOG_LEVEL": "warning",
    "TUNERY_PROVIDER__TIMEOUT": str(PROVIDER_TIMEOUT),
    "TUNERY_LEASE": "10",
    "TUNERY_CREATE_GRACE": "8",
    "TUNERY_RETRY_BASE": "0.3",
    "TUNERY_RETRY_CAP": "2",
    "TUNERY_ENQUEUE_AGAIN_AFTER": "3",
    "TUNERY_POLL_EVERY": "3",
    "TUNERY_POLL_CEILING": "5",
    "TUNERY_WEBHOOK_SCHEDULE": "[1, 2, 2, 3, 3, 5, 5, 5, 5, 5]",
    "SANDBOX_SPEED": "20",
    "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
    "SANDBOX_MAX_JOBS_PER_DAY": "100000",
}
Row = tuple[str, str, str]


class Listener(Receiver):
    """Receives webhooks; keeps the end of each job, and the `webhook-id`s of each event."""

    def __init__(self) -> None:
        self.ends: dict[str, str] = {}
        self.ids: dict[str, set[str]] = {}
        self.refused: list[str] = []
        super().__init__(0, self._keep, self.refused.append)

    def _keep(self, event: dict[str, Any]) -> None:
        if event["type"].rpartition(".")[2] in FINAL:
            self.ends[event["id"]] = event["data"]["id"]

    def take(self, body: str, headers: dict[str, str]) -> int:
        status = super().take(body, headers)
        if status < 300:
            self.ids.setdefault(json.loads(body)["id"], set()).add(headers["webhook-id"])
        return status


def api_key_of_new_project(name: str) -> str:
    with transaction() as session:
        return projects.create_api_key(session, projects.create_project(session, name).id, "first")[1]


class Team:
    """A project: its client, its receiver, and the ids of its created jobs."""

    def __init__(self, stack: Measured, name: str, listener: Listener) -> None:
        self.name = name
        self.listener = listener
        self.openai = OpenAI(base_url=stack.base_url, api_key=api_key_of_new_project(name), max_retries=10)
        self.files: list[str] = []
        self.jobs: list[str] = []
        types: Any = [f"fine_tuning.job.{status}" for status in ("created", *FINAL)]
        endpoint = self.openai.webhooks.create(name=name, url=listener.url, event_types=types)
        listener.secret = endpoint.signing_secret

    def prepare(self) -> None:
        """Uploads files and waits for their token counts: it takes seconds, and a killed worker counts again."""
        self.files = [self._send(number) for number in range(DATASETS)]
        for file_id in self.files:
            while not self.openai.get(f"/datasets/{file_id}", cast_to=httpx2.Response).json()["tokens_counted"]:
                time.sleep(0.5)

    def _send(self, number: int) -> str:
        return self.openai.files.create(file=("train.jsonl", lines(20 + number)), purpose="fine-tune").id

    def work(self, count: int) -> None:
        for number in range(count):
            self.create(number)

    def create(self, number: int) -> None:
        key = {"Idempotency-Key": f"{self.name}-job-{number}"}
        job = self.openai.fine_tuning.jobs.create(
            training_file=self.files[number % len(self.files)], model="gpt-4o-mini", extra_headers=key
        )
        self.jobs.append(job.id)

    def statuses(self) -> dict[str, str]:
        return {job.id: job.status for job in self.openai.fine_tuning.jobs.list(limit=100)}

    def events(self, job_id: str) -> Counter[str]:
        events = self.openai.fine_tuning.jobs.list_events(job_id, limit=100)
        return Counter(event.message for event in events if event.type == "metrics")


@dataclass
class Chaos:
    """Runs the teams and the failures until all jobs have ended, and counts what went wrong."""

    stack: Measured
    teams: list[Team]
    provider: Provider
    havoc: Havoc
    patience: float = TIMEOUT_SECONDS

    def go_on(self, jobs: int) -> float:
        """Runs until every job has ended and everything was killed as often as planned; the seconds it took."""
        started = time.monotonic()
        with ThreadPoolExecutor(len(self.teams)) as pool:
            at_work = [pool.submit(team.work, jobs // len(self.teams)) for team in self.teams]
            next_check_at = 0.0
            while time.monotonic() < started + self.patience:
                self.havoc.go_on()
                with suppress(httpx2.HTTPError):
                    self.provider.fail()
                if time.monotonic() > next_check_at:
                    unfinished = self._unfinished()
                    if self.havoc.is_done and not unfinished and all(each.done() for each in at_work):
                        break
                    next_check_at = time.monotonic() + 3
                time.sleep(0.1)
            for each in at_work:
                each.result()
        self.provider.recover()
        return time.monotonic() - started

    def _unfinished(self) -> int:
        """The number of the teams' jobs that have not ended; -1 if the api does not answer."""
        with suppress(OpenAIError):
            statuses = Counter(status for team in self.teams for status in team.statuses().values())
            print(f"{self.havoc} {dict(statuses)}", file=sys.stderr)
            return sum(number for status, number in statuses.items() if status not in FINAL)
        return -1

    def wait_for_webhooks(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and any(
            set(team.jobs) - set(team.listener.ends.values()) for team in self.teams
        ):
            time.sleep(0.5)

    def findings(self) -> list[Row]:
        statuses = {id: status for team in self.teams for id, status in team.statuses().items()}
        asked_for = [id for team in self.teams for id in team.jobs]
        there = self.provider.listed("/v1/fine_tuning/jobs", limit=100)
        times = Counter(job["metadata"]["tunery_job"] for job in there)
        files = Counter(file["filename"] for file in self.provider.listed("/v1/files", purpose="fine-tune"))
        ends = Counter(id for team in self.teams for id in team.listener.ends.values())
        ids = [ids for team in self.teams for ids in team.listener.ids.values()]
        theirs = {job["metadata"]["tunery_job"]: job["id"] for job in there}
        counts = {
            "jobs lost": sum(id not in statuses for id in asked_for),
            "jobs that no client created": len(set(statuses) - set(asked_for)),
            "jobs stuck": sum(status not in FINAL for status in statuses.values()),
            "jobs that failed": sum(status in FINAL - {"succeeded"} for status in statuses.values()),
            "jobs missing at the provider": sum(times[id] == 0 for id in asked_for),
            "jobs doubled at the provider": sum(number > 1 for number in times.values()),
            "files doubled at the provider": sum(number > 1 for number in files.values()),
            "jobs with an event missing or twice": self._wrong_events(theirs),
            "jobs without a webhook about their end": sum(ends[id] == 0 for id in asked_for),
            "jobs with two events about their end": sum(number > 1 for number in ends.values()),
            "events under more than one webhook-id": sum(len(each) > 1 for each in ids),
            "webhooks with a bad signature": sum(len(team.listener.refused) for team in self.teams),
        }
        return [(what, "0", str(count)) for what, count in counts.items()]

    def _wrong_events(self, theirs: dict[str, str]) -> int:
        """Jobs whose training steps differ from the provider's; compares every fifth job, or all of a small number."""
        wrong = 0
        for team in self.teams:
            for id in [id for id in team.jobs if id in theirs][:: 5 if len(team.jobs) > 20 else 1]:
                logged = self.provider.listed(f"/v1/fine_tuning/jobs/{theirs[id]}/events", limit=100)
                wrong += team.events(id) != Counter(each["message"] for each in logged if each["type"] == "metrics")
        return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--slow", action="store_true")
    wanted = parser.parse_args()
    rows = run(wanted.jobs, is_slow=wanted.slow)
    print_table(rows)
    sys.exit(any(target == "0" != measured for _, target, measured in rows))


def run(jobs: int, *, is_slow: bool = False) -> list[Row]:
    """Runs the benchmark; Redis and Postgres are killed only once if there are few jobs."""
    with measured_stack(**SETTINGS) as stack, ExitStack() as listeners:
        os.environ.update(stack.environ)
        teams = [Team(stack, f"team {n}", listeners.enter_context(Listener())) for n in range(PROJECTS)]
        get_engine().dispose()
        for team in teams:
            team.prepare()
        many = jobs >= 100 and not is_slow
        provider = Provider(stack, is_slow=is_slow)
        chaos = Chaos(stack, teams, provider, Havoc(stack, redis=5 if many else 1, postgres=3 if many else 1))
        took = chaos.go_on(jobs)
        chaos.wait_for_webhooks()
        faults = ", ".join(f"{kind} {number}" for kind, number in sorted(provider.armed.items()))
        return [
            (f"{jobs} jobs, until the last has ended", "≤ 300 s", f"{took:.0f} s"),
            ("killed", "-", str(chaos.havoc)),
            (f"calls that failed, of {provider.calls():,}", "20 %", f"{provider.armed.total():,}: {faults}"),
            *chaos.findings(),
        ]


if __name__ == "__main__":
    main()
