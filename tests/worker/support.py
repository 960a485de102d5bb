"""Helpers of the worker's tests: change rows, run a step with something beside it, use other settings."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile
from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.settings import get_settings
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.world import Person, Sandbox, environment, row, step
from worker.runtime.scheduler import forget
from worker.runtime.steps import Step, run


def change(model: type[Any], id: str, **values: Any) -> None:
    """Set columns of a row, such as a time that would take too long to pass."""
    with transaction() as session:
        found = session.get_one(model, id)
        for name, value in values.items():
            setattr(found, name, value)


def ids(model: type[Any]) -> list[str]:
    """The ids of a table's rows, oldest first."""
    with transaction() as session:
        return list(session.exec(select(model.id).order_by(model.id)))


def ready_job(person: Person, **values: Any) -> str:
    """A job whose next step is its creation at the provider."""
    job_id = person.create_job(**values)
    job = row(Job, job_id)
    for dataset_id in filter(None, (job.training_file, job.validation_file)):
        step(Dataset, dataset_id)
    step(Job, job_id)
    for file_id in ids(ProviderFile):
        step(ProviderFile, file_id)
    return job_id


def running_job(person: Person, sandbox: Sandbox, **values: Any) -> tuple[str, str]:
    """A running job that the sandbox holds in this status; returns its id here and at the provider."""
    job_id = ready_job(person, **values)
    step(Job, job_id)
    provider_job_id = row(Job, job_id).provider_job_id
    sandbox.move(provider_job_id, status="running")
    step(Job, job_id)
    return job_id, provider_job_id


def pass_create_grace(job_id: str) -> None:
    """Make `create_grace` have passed since the create whose outcome is unknown."""
    change(Job, job_id, create_pending_at=utc_now() - get_settings().create_grace)


def step_while(step: Step[Any, Any, Any], id: str, meanwhile: Callable[[], object]) -> None:
    """Run a step, and call `meanwhile` after its call and before its record."""
    change(step.model, id, due_at=utc_now())

    def call(plan: Any) -> Any:
        try:
            return step.call(plan)
        finally:
            meanwhile()

    run(replace(step, call=call), id)


def lease_during(step: Step[Any, Any, Any], id: str) -> list[datetime]:
    """Run a step; returns the end of the row's lease before its call and after it."""
    leased: list[datetime] = []
    change(step.model, id, due_at=utc_now())

    def call(plan: Any) -> Any:
        leased.append(row(step.model, id).due_at)
        answer = step.call(plan)
        leased.append(row(step.model, id).due_at)
        return answer

    run(replace(step, call=call), id)
    return leased


class Killed(BaseException):
    """Ends a step as `kill -9` would: nothing after it is done."""


def step_killed_before_record(step: Step[Any, Any, Any], id: str) -> None:
    """Run a step whose process is killed after its call and before its record."""

    def die() -> None:
        raise Killed

    try:
        step_while(step, id, die)
    except Killed:
        change(step.model, id, due_at=utc_now())  # as when the lease has run out


@contextmanager
def settings(**values: str) -> Iterator[None]:
    """Use other settings in the block, named as in the environment: `settings(TUNERY_LEASE="1")`."""
    now = get_settings()
    before = {
        "DATABASE_URL": now.database_url,
        "TUNERY_MIGRATION_DATABASE_URL": now.migration_database_url or "",
        "REDIS_URL": now.redis_url,
        "TUNERY_SECRET_KEYS": json.dumps([key.get_secret_value() for key in now.secret_keys]),
        "TUNERY_PROVIDER__BASE_URL": now.provider.base_url,
        "TUNERY_PROVIDER__API_KEY": now.provider.api_key.get_secret_value(),
        "TUNERY_PROVIDER__TIMEOUT": str(now.provider.timeout.total_seconds()),
        "TUNERY_STORAGE": str(now.storage),
        "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": json.dumps([str(each) for each in now.dangerous_allow_private_urls]),
        "TUNERY_WEBHOOK_TIMEOUT": str(now.webhook_timeout.total_seconds()),
        "TUNERY_LOG_LEVEL": now.log_level,
        "TUNERY_RETENTION__UNREAD_EVENTS": str(now.retention.unread_events).lower(),
        "TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE": str(now.rate_limits.requests_per_minute),
        "TUNERY_RATE_LIMITS__FAILED_AUTHENTICATIONS_PER_MINUTE": str(now.rate_limits.failed_authentications_per_minute),
    }
    try:
        _read_settings(before | values)
        yield
    finally:
        _read_settings(before)


def _read_settings(values: dict[str, str]) -> None:
    with environment(values):
        get_settings.cache_clear()
        get_settings()


def write_event(person: Person, type: EventType = EventType.JOB_CANCELLED, **data: Any) -> str:
    """Write a webhook event of a person's project; returns its id."""
    with transaction() as session:
        event = webhooks.write_event(session, person.project_id, type, {"id": "ftjob-1", **data})
        assert event is not None
        return event.id


def endpoint_of(person: Person, url: str, *types: str, **values: Any) -> Any:
    """Create an endpoint, for cancelled jobs by default; returns the answer that shows its secret."""
    new = {"name": "test", "url": url, "event_types": types or [EventType.JOB_CANCELLED], **values}
    return person.http.post("/webhook_endpoints", json=new).raise_for_status().json()


def forget_all() -> None:
    """Forget what is old, in as many rounds as it takes."""
    while forget():
        pass


def attempt_again(delivery_id: str) -> None:
    """Attempt a delivery now, whatever its due time and its endpoint's pause."""
    change(WebhookEndpoint, row(WebhookDelivery, delivery_id).endpoint_id, paused_until=None)
    step(WebhookDelivery, delivery_id)


def calls(sandbox: Sandbox, call: str) -> int:
    """How often the sandbox got this call since the test began, such as `POST /v1/files`."""
    counted: dict[str, int] = sandbox.http.get("/sandbox/requests").json()["requests"]
    return counted.get(call, 0)


def wait_until_blocked(session: Session, other: "Future[Any]") -> None:
    """Wait until `other` waits for a lock that this transaction has."""
    query = text("select count(*) from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))")
    while not session.execute(query).scalar_one():
        assert not other.done()
