"""Odd answers of a provider: what can be stored is kept, and a job that is paid for goes on."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from shared.database import transaction
from shared.jobs.models import Job, JobEvent, JobStatus, Watch
from tests.worker.support import change, ids, pass_create_grace, ready_job, running_job
from tests.world import Person, Sandbox, row, step
from worker.providers import sanitize

JOB = "/v1/fine_tuning/jobs/*"
IN_MILLISECONDS = 1893456000000


def answer_with(sandbox: Sandbox, path: str, body: Any) -> None:
    """The next answer, written as Python does it: with halves of surrogate pairs, and what is no number of JSON's."""
    headers = {"content-type": "application/json"}
    sandbox.arm("GET", path, status=200, body=json.dumps(body), headers=headers)


def listing(*items: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "has_more": False, "data": list(items)}


def real_job(sandbox: Sandbox, theirs: str) -> dict[str, Any]:
    return sandbox.openai.fine_tuning.jobs.retrieve(theirs).to_dict()


ODD: list[dict[str, Any]] = [
    {"error": {}},
    {"error": {"code": None, "message": None, "param": None}},
    {"hyperparameters": None},
    {"hyperparameters": {"batch_size": None}},
    {"method": None},
    {"seed": None, "model": None, "estimated_finish": None},
    {"result_files": None, "integrations": None, "metadata": None},
    {"status": "moderating"},
    {"status": None},
    {"something_new": {"of": ["tomorrow"]}},
    {"seed": 2**31, "trained_tokens": 2**63, "estimated_finish": IN_MILLISECONDS},
    {"hyperparameters": "auto", "method": "supervised", "error": "none", "result_files": 5, "finished_at": "soon"},
    {"model": 4, "seed": "seven", "trained_tokens": -1, "estimated_finish": -1e300},
    {"seed": 1e300, "model": True, "trained_tokens": 0.5, "estimated_finish": 253402300799},
]


@pytest.mark.parametrize("body", ODD, ids=str)
def test_an_odd_answer_changes_nothing_and_the_job_goes_on(
    alice: Person, sandbox: Sandbox, body: dict[str, Any]
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    before = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    answer_with(sandbox, JOB, real_job(sandbox, theirs) | body)
    step(Job, job_id)
    assert (row(Job, job_id).failures, row(Job, job_id).provider_status) == (0, str(body.get("status", "running")))
    after = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    assert after | {"estimated_finish": None} == before | {"estimated_finish": None}
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


ENDINGS: list[dict[str, Any]] = [
    {"fine_tuned_model": "ft:\0:\ud800", "error": {"message": "\0", "code": "\udfff", "param": "\0"}},
    {"fine_tuned_model": 7, "error": "broken", "result_files": "file", "finished_at": IN_MILLISECONDS},
    {"trained_tokens": 2**40, "seed": -1, "hyperparameters": {"n_epochs": "\0", "batch_size": float("nan")}},
    {"result_files": [None, "file-gone", {"id": 1}], "error": {"message": ["no"], "code": 5}},
    {"trained_tokens": 12000.0, "finished_at": 1893456000.5},
]


@pytest.mark.parametrize("body", ENDINGS, ids=str)
@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_job_ends_as_the_provider_says_however_oddly_it_says_so(
    alice: Person, sandbox: Sandbox, status: str, body: dict[str, Any]
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    answer_with(sandbox, JOB, real_job(sandbox, theirs) | body | {"status": status})
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).due_at) == (status, None)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.trained_tokens == body.get("trained_tokens")
    assert (job.error is not None and job.error.message is not None) == (status == "failed")


EVENTS: list[dict[str, Any]] = [
    {"message": "\0 and \ud800", "type": "\0", "data": {"\0": ["\ud800", float("nan"), {"step": 2**70}]}},
    {"message": None, "type": None, "level": None, "data": "none"},
    {"created_at": IN_MILLISECONDS, "level": {}, "data": {"step": 2**31, "total_steps": -1}},
    {"created_at": "2026-11-23T00:00:00Z", "id": "\0", "data": {"step": "3"}},
]


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_odd_event_is_kept_as_far_as_it_can_be(alice: Person, sandbox: Sandbox, event: dict[str, Any]) -> None:
    job_id, _ = running_job(alice, sandbox)
    before = len(ids(JobEvent))
    for _ in range(2):
        answer_with(sandbox, f"{JOB}/events", listing({"id": "ftevent-1", "object": "fine_tuning.job.event"} | event))
        step(Job, job_id)
        assert (row(Job, job_id).failures, row(Job, job_id).retries) == (0, 0)
    assert len(ids(JobEvent)) == before + 1
    assert alice.openai.fine_tuning.jobs.list_events(job_id).data
    assert row(Job, job_id).step is None


def test_odd_checkpoints_do_not_hold_a_job_up(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    odd: list[dict[str, Any]] = [
        {"fine_tuned_model_checkpoint": "ft:\0", "step_number": 1, "metrics": {"train_loss": float("inf"), "step": 1}},
        {"fine_tuned_model_checkpoint": None, "step_number": 2},
        {"fine_tuned_model_checkpoint": "ft:2", "step_number": 2**40, "metrics": "none"},
    ]
    checkpoints = [{"id": f"ftckpt-{number}", "created_at": "today"} | each for number, each in enumerate(odd)]
    answer_with(sandbox, f"{JOB}/checkpoints", listing(*checkpoints))
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED
    kept = alice.openai.fine_tuning.jobs.checkpoints.list(job_id).data
    assert [(each.step_number, each.fine_tuned_model_checkpoint) for each in kept] == [(1, "ft:\ufffd")]


@pytest.mark.parametrize("body", [*ODD, {"status": "failed", "error": "broken"}], ids=str)
def test_one_odd_job_in_the_list_keeps_no_other_from_being_seen(
    alice: Person, sandbox: Sandbox, body: dict[str, Any]
) -> None:
    (_, odd), (job_id, theirs) = running_job(alice, sandbox), running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    answer_with(sandbox, "/v1/fine_tuning/jobs", listing(real_job(sandbox, theirs), real_job(sandbox, odd) | body))
    [watch_id] = ids(Watch)
    step(Watch, watch_id)
    assert (row(Watch, watch_id).failures, row(Watch, watch_id).retries) == (0, 0)
    assert row(Job, job_id).provider_status is None


def test_the_reason_of_a_refusal_is_kept_whatever_it_is(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    error = {"error": {"message": "\0 no \ud800", "code": "\0", "param": "\udfff"}}
    headers = {"content-type": "application/json"}
    sandbox.arm("GET", JOB, status=503, body=json.dumps(error), headers=headers)
    step(Job, job_id)
    assert (row(Job, job_id).failures, row(Job, job_id).retries) == (0, 1)
    assert "\ufffd no \ufffd" in alice.openai.fine_tuning.jobs.list_events(job_id).data[0].message


def test_one_odd_job_in_the_list_keeps_none_from_being_found(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", "/v1/fine_tuning/jobs", drop="after")
    step(Job, job_id)
    pass_create_grace(job_id)
    [created] = sandbox.jobs()
    odd = [{"id": "ftjob-odd", "created_at": "today", "metadata": "none"}, {"id": "ftjob-bare"}]
    answer_with(sandbox, "/v1/fine_tuning/jobs", listing(*odd, created.to_dict()))
    step(Job, job_id)
    assert (row(Job, job_id).provider_job_id, row(Job, job_id).failures) == (created.id, 0)


@pytest.mark.parametrize("id", [None, "", 5, {"of": "a job"}, "\0"], ids=str)
def test_a_job_that_is_found_without_an_id_is_not_created_again(alice: Person, sandbox: Sandbox, id: object) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", "/v1/fine_tuning/jobs", drop="after")
    step(Job, job_id)
    pass_create_grace(job_id)
    [there] = sandbox.jobs()
    answer_with(sandbox, "/v1/fine_tuning/jobs", listing(there.to_dict() | {"id": id}))
    step(Job, job_id)
    assert (row(Job, job_id).provider_job_id, row(Job, job_id).failures) == (None, 0)
    step(Job, job_id)
    assert [row(Job, job_id).provider_job_id] == [job.id for job in sandbox.jobs()] == [there.id]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_latest_time_can_be_read_in_every_time_zone(alice: Person, zone: str) -> None:
    job_id = alice.create_job()
    latest = sanitize.time(221845391999)
    change(Job, job_id, finished_at=latest)
    with transaction() as session:
        session.execute(text(f"set local time zone '{zone}'"))
        assert session.get_one(Job, job_id).finished_at == latest
    assert sanitize.time(221845392000) is None
