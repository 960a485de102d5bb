"""POST /v1/provider_webhooks/{credential_id}: the provider reports that a job has ended."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus, Watch
from tests.worker.support import change, ids, running_job, settings, step_while
from tests.world import Person, Sandbox, row, step
from worker.jobs import job_step
from worker.runtime.steps import run

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wcm92aWRlcidzLXdlYmhvb2s="


@pytest.fixture(autouse=True)
def configured(clean: str) -> Iterator[None]:
    with settings(TUNERY_PROVIDER__WEBHOOK_SECRET=SECRET):
        yield


@pytest.fixture
def job(alice: Person, sandbox: Sandbox) -> Job:
    """A running job that was just polled and is not due for a long time."""
    job_id, _ = running_job(alice, sandbox)
    step(Watch, ids(Watch)[0])
    change(Job, job_id, due_at=utc_now() + timedelta(minutes=1))
    found = row(Job, job_id)
    assert isinstance(found, Job)
    return found


def send(
    api: str, credential_id: str, event: Any, *, secret: str = SECRET, at: datetime | None = None, **headers: str
) -> httpx2.Response:
    body = event if isinstance(event, str) else json.dumps(event)
    now = at or datetime.now(UTC)
    signed = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("wh_1", now, body),
    }
    address = f"{api}/provider_webhooks/{credential_id}"
    return httpx2.post(address, content=body, headers={"content-type": "application/json", **signed, **headers})


def ended(job: Job, type: str = "fine_tuning.job.succeeded") -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "created_at": 1, "type": type, "data": {"id": job.provider_job_id}}


def is_due(job: Job) -> bool:
    return bool(row(Job, job.id).due_at <= utc_now())


def test_a_provider_webhook_makes_the_job_due_and_the_poll_decides(clean: str, sandbox: Sandbox, job: Job) -> None:
    answer = send(clean, job.credential_id, ended(job))
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert is_due(job)
    run(job_step.advance, job.id)
    assert row(Job, job.id).status is JobStatus.RUNNING  # whatever the webhook has said
    sandbox.move(str(job.provider_job_id), status="failed")
    send(clean, job.credential_id, ended(job, "fine_tuning.job.failed"))
    run(job_step.advance, job.id)
    assert row(Job, job.id).status is JobStatus.FAILED


def test_a_repeated_webhook_changes_nothing(clean: str, sandbox: Sandbox, job: Job) -> None:
    sandbox.move(str(job.provider_job_id), status="succeeded")
    for _ in range(2):
        assert send(clean, job.credential_id, ended(job)).status_code == 200
        run(job_step.advance, job.id)
    assert send(clean, job.credential_id, ended(job)).status_code == 200
    assert (row(Job, job.id).status, row(Job, job.id).due_at) == (JobStatus.SUCCEEDED, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "whsec_b3RoZXI="},
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"at": datetime(2100, 1, 1, tzinfo=UTC)},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,!!!! v2,x"},
        {"webhook-timestamp": "nan"},
        {"webhook-id": "wh_2"},
    ],
    ids=str,
)
def test_a_bad_signature_is_refused(clean: str, job: Job, wrong: dict[str, Any]) -> None:
    answer = send(clean, job.credential_id, ended(job), **wrong)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_webhook_signature")
    assert not is_due(job)


def test_a_changed_body_is_refused(clean: str, job: Job) -> None:
    changed: dict[str, Any] = {
        "webhook-signature": send(clean, job.credential_id, {}).request.headers["webhook-signature"]
    }
    assert send(clean, job.credential_id, ended(job), **changed).status_code == 401


@pytest.mark.parametrize("credential_id", ["cred_nobodys", "%00", "ftjob-1"])
def test_an_unknown_account_is_not_found(clean: str, job: Job, credential_id: str) -> None:
    answer = send(clean, credential_id, ended(job))
    assert (answer.status_code, answer.json()["error"]["code"]) in {(404, "not_found"), (400, "invalid_text")}


def test_a_webhook_that_arrives_during_a_poll_causes_another_poll(clean: str, sandbox: Sandbox, job: Job) -> None:
    change(Job, job.id, provider_status=None)
    step_while(job_step.advance, job.id, lambda: send(clean, job.credential_id, ended(job)))
    assert is_due(job)
    run(job_step.advance, job.id)
    assert not is_due(job)


def test_an_account_without_a_secret_is_not_found_either(clean: str, job: Job) -> None:
    with settings():
        assert send(clean, job.credential_id, ended(job)).status_code == 404


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.completed", "data": {"id": "resp_1"}},
        {"type": "fine_tuning.job.succeeded", "data": {"id": "ftjob-nobodys"}},
        {"type": "fine_tuning.job.succeeded", "data": {"id": "a\0b"}},
        {"type": "fine_tuning.job.succeeded", "data": None},
        {"type": ["x"]},
        [],
        None,
    ],
    ids=str,
)
def test_a_signed_webhook_about_an_unknown_job_is_accepted_and_ignored(clean: str, job: Job, event: object) -> None:
    assert send(clean, job.credential_id, event).status_code == 200
    assert not is_due(job)


def test_a_body_of_more_than_64_kb_is_refused(clean: str, job: Job) -> None:
    assert send(clean, job.credential_id, " " * (64 * 1024 + 1)).status_code == 413


def test_the_sandboxs_own_webhook_is_accepted(clean: str, sandbox: Sandbox, job: Job) -> None:
    address = f"{clean}/provider_webhooks/{job.credential_id}"
    sandbox.http.post("/sandbox/webhook", json={"url": address, "secret": SECRET}).raise_for_status()
    sandbox.move(str(job.provider_job_id), status="succeeded")
    deadline = time.monotonic() + 60
    while not is_due(job) and time.monotonic() < deadline:
        sandbox.http.get("/sandbox/faults")  # in whose time it sends
    run(job_step.advance, job.id)
    assert row(Job, job.id).status is JobStatus.SUCCEEDED
