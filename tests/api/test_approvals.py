"""Jobs that are so expensive that they need approval."""

from typing import Any

import pytest
from openai import BadRequestError

from shared.datasets.models import Dataset
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent
from tests.api.administration import Operator, counted_file
from tests.api.training import leniently
from tests.worker.support import calls, change, ids
from tests.world import Person, Sandbox, row, step, work, work_until_created


def waiting_job(operator: Operator, person: Person, **values: Any) -> str:
    """A job that waits for an approval."""
    operator.post(person, "approval_limit", currency="USD", threshold_amount=0)
    job_id = person.create_job(**values)
    work(3)
    return job_id


def shown(person: Person, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = person.http.get(f"/fine_tuning/jobs/{job_id}").raise_for_status().json()
    return job


def decide(operator: Operator, person: Person, job_id: str, what: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = operator.http.post(f"/projects/{person.project_id}/jobs/{job_id}/{what}", json=body or None)
    return answer.status_code, answer.json()


def test_an_expensive_job_waits_and_is_not_sent_to_the_provider(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    job_id = waiting_job(operator, alice)
    job = shown(alice, job_id)
    assert (job["status"], job["approval"], job["queue_position"]) == ("queued", "awaited", None)
    line = alice.openai.fine_tuning.jobs.list_events(job_id).data[0].message
    assert line == f"Waiting for approval: the job may cost {job['estimated_cost']['amount'].rstrip('0')} USD"
    told = [row(WebhookEvent, id) for id in ids(WebhookEvent)]
    assert EventType.JOB_APPROVAL_REQUIRED in {event.type for event in told}
    assert (calls(sandbox, "POST /v1/files"), row(Job, job_id).due_at) == (0, None)


def test_an_approved_job_goes_on(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    job_id = waiting_job(operator, alice)
    status, job = decide(operator, alice, job_id, "approve")
    assert (status, job["approval"]) == (200, "approved")
    sandbox.move(work_until_created(job_id), status="succeeded")
    work()
    assert shown(alice, job_id)["status"] == "succeeded"
    assert [entry["kind"] for entry in operator.entries(alice)] == ["reserve", "release", "settle"]


def test_a_rejected_job_is_cancelled_with_the_reason(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    job_id = waiting_job(operator, alice)
    decide(operator, alice, job_id, "reject", reason="Use the smaller model")
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.message) == (
        "cancelled",
        "approval_rejected",
        "Not approved: Use the smaller model",
    )
    work(2)
    assert sandbox.jobs() == []
    assert [entry["kind"] for entry in operator.entries(alice)] == ["reserve", "release"]


def test_a_job_that_waits_can_be_cancelled_by_its_owner(operator: Operator, alice: Person) -> None:
    job_id = waiting_job(operator, alice)
    assert alice.openai.fine_tuning.jobs.cancel(job_id).status == "cancelled"
    assert shown(alice, job_id)["approval"] is None
    assert decide(operator, alice, job_id, "approve")[0] == 400


def test_a_job_that_waits_can_be_paused_and_goes_on_when_it_is_approved_and_resumed(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    job_id = waiting_job(operator, alice)
    sdk = leniently(alice).fine_tuning.jobs
    assert str(sdk.pause(job_id).status) == "paused"
    assert decide(operator, alice, job_id, "approve")[0] == 200
    work(3)
    assert (row(Job, job_id).status, sandbox.jobs()) == (JobStatus.PAUSED, [])
    sdk.resume(job_id)
    work_until_created(job_id)


def test_a_job_that_is_resumed_goes_on_waiting_for_its_approval(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    job_id = waiting_job(operator, alice)
    sdk = leniently(alice).fine_tuning.jobs
    sdk.pause(job_id)
    sdk.resume(job_id)
    work(3)
    job = shown(alice, job_id)
    assert (job["status"], job["approval"], sandbox.jobs()) == ("queued", "awaited", [])


def test_a_job_below_the_approval_limit_needs_no_approval(operator: Operator, alice: Person) -> None:
    operator.post(alice, "approval_limit", currency="USD", threshold_amount=1000)
    job_id = alice.create_job()
    work_until_created(job_id)
    assert shown(alice, job_id)["approval"] is None


def test_a_job_of_unknown_cost_needs_approval(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    operator.post(alice, "approval_limit", currency="USD", threshold_amount=10**9)
    job_id = alice.create_job(training_file=counted_file(alice), model="gpt-4-0613")
    step(Job, job_id)
    assert shown(alice, job_id)["approval"] == "awaited"
    decide(operator, alice, job_id, "approve")
    step(Job, job_id)
    assert row(Job, job_id).cleared_at


def test_a_job_that_waits_goes_on_waiting_when_the_amount_is_raised(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    job_id = waiting_job(operator, alice)
    operator.post(alice, "approval_limit", currency="USD", threshold_amount=1000)
    change(Job, job_id, due_at=utc_now())
    step(Job, job_id)
    assert (shown(alice, job_id)["approval"], row(Job, job_id).cleared_at, sandbox.jobs()) == ("awaited", None, [])


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_only_a_waiting_job_can_be_approved_or_rejected_and_only_once(
    operator: Operator, alice: Person, what: str
) -> None:
    job_id = waiting_job(operator, alice)
    assert decide(operator, alice, job_id, what)[0] == 200
    status, answer = decide(operator, alice, job_id, "approve")
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "invalid_job_status", "job_id")


def test_a_job_can_be_approved_only_under_its_own_project(operator: Operator, alice: Person, bob: Person) -> None:
    job_id = waiting_job(operator, alice)
    assert decide(operator, bob, job_id, "approve")[0] == decide(operator, bob, "ftjob-none", "approve")[0] == 404


def test_an_admin_can_list_the_jobs_that_wait_for_approval(operator: Operator, alice: Person, bob: Person) -> None:
    job_id = waiting_job(operator, alice)
    alice.openai.fine_tuning.jobs.cancel(alice.create_job())
    path = "/projects/{}/jobs"
    waiting = operator.http.get(path.format(alice.project_id), params={"approval": "awaited"}).json()["data"]
    assert [(job["id"], job["approval"]) for job in waiting] == [(job_id, "awaited")]
    assert len(operator.http.get(path.format(alice.project_id)).json()["data"]) == 2
    assert operator.http.get(path.format(bob.project_id)).json()["data"] == []
    assert operator.http.get(path.format("proj_none")).status_code == 404


def test_the_approval_limit_can_be_read_and_deleted(operator: Operator, alice: Person) -> None:
    path = f"/projects/{alice.project_id}/approval_limit"
    assert operator.http.get(path).status_code == operator.http.delete(path).status_code == 404
    operator.post(alice, "approval_limit", currency="USD", threshold_amount=5000)
    assert operator.http.get(path).json()["threshold_amount"] == 5000
    assert operator.http.delete(path).json()["deleted"]
    work_until_created(alice.create_job())


def test_a_job_whose_tokens_cannot_be_counted_fails_where_spending_is_limited(
    operator: Operator, alice: Person
) -> None:
    operator.limit(alice, 1000)
    job_id = alice.create_job()
    file_id = row(Job, job_id).training_file
    step(Dataset, file_id)
    change(Dataset, file_id, due_at=None)  # as when its steps were given up
    step(Job, job_id)
    assert row(Job, job_id).error["code"] == "cost_unknown"
    with pytest.raises(BadRequestError):
        alice.openai.fine_tuning.jobs.cancel(job_id)
