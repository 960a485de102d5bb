"""What most tests use: API clients, the sandbox's control interface, and worker steps that run at once."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
from openai import DefaultHttpxClient, OpenAI
from sqlalchemy import Engine, create_engine, text, update
from sqlmodel import Session, select

from cli.processes import ports
from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile, Upload
from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.deployments.models import Deployment
from shared.jobs.models import Job, TunedModel, Watch
from shared.jobs.queue.models import JobQueue
from shared.notifications.models import Notification
from shared.projects.models import Credential
from shared.settings import get_settings
from shared.webhooks.models import WebhookDelivery, WebhookRecovery
from tests.servers import wait_for_port
from worker.accounts import refresh
from worker.datasets import close_upload, dataset_step, upload_to_provider
from worker.deployments import deployment_step
from worker.email import send
from worker.jobs import admission, job_step, tuned_models, watch
from worker.runtime.steps import run
from worker.webhooks import deliver, recover

CHAT = b'{"messages": [{"role": "user", "content": "Question %d"}, {"role": "assistant", "content": "Answer %d"}]}\n'


def lines(count: int = 12) -> bytes:
    """A valid chat dataset."""
    return b"".join(CHAT % (number, number) for number in range(count))


@dataclass(frozen=True)
class RunningStack:
    """All servers as processes, and the key of a project."""

    base_url: str
    api_key: str


def official_sdk(base_url: str, api_key: str, **options: Any) -> OpenAI:
    """The SDK's client without retries, and without TLS certificates: reading these costs 18 ms for each client."""
    return OpenAI(
        base_url=base_url, api_key=api_key, max_retries=0, http_client=DefaultHttpxClient(verify=False), **options
    )


class Person:
    """A member of one project, with the official SDK in strict mode and without retries."""

    def __init__(self, base_url: str, api_key: str, project_id: str) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self.project_id = project_id
        self.openai = official_sdk(base_url, api_key, _strict_response_validation=True)
        self.http = httpx2.Client(
            base_url=base_url, headers={"authorization": f"Bearer {api_key}"}, timeout=60, verify=False
        )

    def close(self) -> None:
        self.openai.close()
        self.http.close()

    def upload(self, content: bytes | None = None, name: str = "train.jsonl") -> str:
        return self.openai.files.create(file=(name, content or lines()), purpose="fine-tune").id

    def create_job(self, **values: Any) -> str:
        values.setdefault("training_file", None)
        values["training_file"] = values["training_file"] or self.upload()
        return self.openai.fine_tuning.jobs.create(**{"model": "gpt-4o-mini", **values}).id


class Sandbox:
    """A client of the provider's stand-in and of its control interface, which only tests use."""

    def __init__(self, address: str, api_key: str, base: str = "/v1") -> None:
        self.address = address
        headers = {"authorization": f"Bearer {api_key}"}
        self.http = httpx2.Client(base_url=address, headers=headers, timeout=60, verify=False)
        self.openai = official_sdk(f"{address}{base}", api_key)

    def close(self) -> None:
        self.openai.close()
        self.http.close()

    def _post(self, path: str, body: dict[str, Any]) -> None:
        self.http.post(path, json=body).raise_for_status()

    def reset(self) -> None:
        self._post("/sandbox/reset", {})

    def arm(self, method: str, path: str, *, times: int = 1, **fault: Any) -> None:
        """Let the next `times` calls fail: `status`, `delay`, `drop="before"|"after"` the effect, `body`."""
        self._post("/sandbox/faults", {"method": method, "path": path, "times": times, **fault})

    def disarm(self) -> None:
        self.http.delete("/sandbox/faults").raise_for_status()

    def move(self, provider_job_id: str, **where: Any) -> None:
        self._post(f"/sandbox/jobs/{provider_job_id}", where)

    def copies(self, provider_job_id: str, count: int) -> list[str]:
        """Creates `count` jobs with this one's status, which they keep; returns their ids."""
        answer = self.http.post(f"/sandbox/jobs/{provider_job_id}/copies", json={"count": count})
        return [str(job["id"]) for job in answer.raise_for_status().json()["data"]]

    def jobs(self) -> list[Any]:
        return list(self.openai.fine_tuning.jobs.list(limit=100))

    def files(self) -> list[Any]:
        return [file for file in self.openai.files.list() if file.purpose == "fine-tune"]


@contextmanager
def sandbox_of(wire: str) -> Iterator[Sandbox]:
    """A sandbox that speaks this provider's wire, as a process."""
    variables = {**os.environ, "SANDBOX_SPEED": "0.01", "SANDBOX_API_KEY": "sk-sandbox"}
    with ports.held() as port:
        command = [sys.executable, "-m", "sandbox", "--port", str(port), "--wire", wire]
        process = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
        sandbox = Sandbox(f"http://127.0.0.1:{port}", "sk-sandbox")
        try:
            wait_for_port(port)
            yield sandbox
        finally:
            sandbox.close()
            process.terminate()
            process.wait()


STEPS: dict[type[DueTable] | type[OwnedDue], Callable[[str], None]] = {
    Credential: lambda id: run(refresh.refresh, id),
    Dataset: lambda id: run(dataset_step.advance, id),
    Upload: lambda id: run(close_upload.close, id),
    ProviderFile: lambda id: run(upload_to_provider.upload, id),
    Watch: lambda id: run(watch.watch, id),
    Job: lambda id: run(job_step.advance, id),
    JobQueue: lambda id: run(admission.admit, id),
    TunedModel: lambda id: run(tuned_models.delete, id),
    Deployment: lambda id: run(deployment_step.advance, id),
    WebhookRecovery: lambda id: run(recover.recover, id),
    Notification: lambda id: run(send.send, id),
    WebhookDelivery: lambda id: run(deliver.attempt, id),
}


def step(model: type[DueTable] | type[OwnedDue], id: str) -> None:
    """One step of this row, due or not, also while its account is left alone. A job is asked for its status too."""
    with transaction() as session:
        session.exec(update(Credential).values(paused_until=None))
        if model is Job:
            session.exec(update(Watch).values(listed_at=None))
        row: Any = session.get_one(model, id)
        if row.due_at is not None:
            row.due_at = utc_now()
    STEPS[model](id)


def work(rounds: int = 1) -> None:
    """Every row with a next step takes it now, as often as said, in the order in which they feed one another."""
    for _ in range(rounds):
        for model in STEPS:
            with transaction() as session:
                ids = session.exec(select(model.id).where(model.due_at != None)).all()  # noqa: E711
            for id in ids:
                step(model, id)


def work_until_created(job_id: str, rounds: int = 5) -> str:
    """The provider's id of a job, once it has one."""
    for _ in range(rounds):
        work()
        with transaction() as session:
            provider_job_id = session.get_one(Job, job_id).provider_job_id
        if provider_job_id is not None:
            return provider_job_id
    raise AssertionError(f"{job_id} did not reach the provider in {rounds} rounds")


def row(model: type[Any], id: str) -> Any:
    with transaction() as session:
        return session.get_one(model, id)


@contextmanager
def as_owner() -> Iterator[Session]:
    """A transaction of the login that owns the tables, for what the servers must not do."""
    with Session(_owner_engine(get_settings().migration_database_url or "")) as session, session.begin():
        yield session


@cache
def _owner_engine(url: str) -> Engine:
    return create_engine(url)


def empty_tables() -> None:
    """Everything but the organization, and the schema's revision. Row by row, in any order: there are only a few."""
    with as_owner() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(text(_deletes()))


@cache
def _deletes() -> str:
    tables = (
        "select string_agg(format('delete from %I', tablename), '; ') from pg_tables where schemaname = 'public'"
        " and tablename not in ('organizations', 'alembic_version')"
    )
    with as_owner() as session:
        return str(session.execute(text(tables)).scalar_one())


def variables_of_this_test() -> dict[str, str]:
    """The settings of this process, for one that is started beside it; without the owner's URL."""
    settings = get_settings()
    return {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "TUNERY_SECRET_KEYS": f'["{settings.secret_keys[0].get_secret_value()}"]',
        "TUNERY_PROVIDER__BASE_URL": settings.provider.base_url,
        "TUNERY_PROVIDER__API_KEY": settings.provider.api_key.get_secret_value(),
        "TUNERY_PROVIDER__DIALECT": settings.provider.dialect,
        "TUNERY_STORAGE": str(settings.storage),
    }


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """The process's environment, for as long as the settings are read."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
