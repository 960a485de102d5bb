"""Faults: each goes wrong the way it was armed, as often as it was armed, and nowhere else."""

import time
from typing import Any

import pytest
from openai import (
    APIConnectionError,
    APIResponseValidationError,
    APITimeoutError,
    InternalServerError,
    PermissionDeniedError,
    RateLimitError,
)

from tests.sandbox.process import Sandbox, chats

JOBS = "/v1/fine_tuning/jobs"


def jobs_made(sandbox: Sandbox) -> int:
    return len(sandbox.openai.fine_tuning.jobs.list().data)


def wait_for_job(sandbox: Sandbox) -> None:
    deadline = time.monotonic() + 100
    while (made := jobs_made(sandbox)) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert made == 1


def test_a_connection_dropped_before_the_effect_made_no_job(sandbox: Sandbox) -> None:
    sandbox.arm("POST", JOBS, drop="before")
    with pytest.raises(APIConnectionError):
        sandbox.job()
    assert jobs_made(sandbox) == 0
    assert sandbox.job().id


def test_a_connection_dropped_after_the_effect_made_one(sandbox: Sandbox) -> None:
    sandbox.arm("POST", JOBS, drop="after")
    with pytest.raises(APIConnectionError):
        sandbox.job()
    assert jobs_made(sandbox) == 1


def test_an_upload_can_be_dropped_too(sandbox: Sandbox) -> None:
    sandbox.arm("POST", "/v1/files", drop="after")
    with pytest.raises(APIConnectionError):
        sandbox.upload(*chats(500))
    assert len(sandbox.openai.files.list().data) == 1


def test_a_status_comes_as_often_as_it_was_armed(sandbox: Sandbox) -> None:
    sandbox.arm("GET", "/v1/models", status=503, headers={"Retry-After": "7"}, times=2)
    for _ in range(2):
        with pytest.raises(InternalServerError) as refused:
            sandbox.openai.models.list()
        assert refused.value.response.headers["retry-after"] == "7"
        assert refused.value.request_id
    assert sandbox.openai.models.list().data


def test_a_status_can_bring_a_body_of_any_kind(sandbox: Sandbox) -> None:
    sandbox.arm("GET", "/v1/models", status=502, body="<html>Bad Gateway</html>")
    assert sandbox.http.get("/v1/models").text == "<html>Bad Gateway</html>"
    sandbox.arm("GET", "/v1/models", status=400, body={"error": {"message": "No.", "code": 7}})
    assert sandbox.http.get("/v1/models").json() == {"error": {"message": "No.", "code": 7}}


def test_an_error_can_come_after_the_effect(sandbox: Sandbox) -> None:
    sandbox.arm("POST", JOBS, status=500, after_effect=True)
    with pytest.raises(InternalServerError):
        sandbox.job()
    assert jobs_made(sandbox) == 1


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [("training_not_available", PermissionDeniedError), ("daily_rate_limit_exceeded", RateLimitError)],
)
def test_a_known_refusal_is_armed_by_its_name(sandbox: Sandbox, refusal: str, kind: type[Exception]) -> None:
    sandbox.arm("POST", JOBS, refusal=refusal)
    with pytest.raises(kind) as refused:
        sandbox.job()
    assert getattr(refused.value, "code", None) == refusal


@pytest.mark.parametrize(
    ("armed", "code"),
    [
        ("exceeded_quota", "exceeded_quota"),
        ("moderation", "invalid_training_file"),
        ({"code": "x", "message": "y"}, "x"),
    ],
)
def test_a_job_can_be_armed_to_fail(sandbox: Sandbox, armed: object, code: str) -> None:
    sandbox.arm("POST", JOBS, job_error=armed)
    job = sandbox.job()
    sandbox.http.post(f"/sandbox/jobs/{job.id}", json={"status": "running"})
    job = sandbox.openai.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "failed"
    assert job.error
    assert job.error.code == code


def test_a_delay_comes_before_the_work_and_the_work_is_done_even_so(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(10)).id
    sandbox.arm("POST", JOBS, delay=5)
    with sandbox.client(timeout=0.5) as impatient, pytest.raises(APITimeoutError):
        impatient.fine_tuning.jobs.create(model="gpt-4o", training_file=file)
    assert jobs_made(sandbox) == 0
    wait_for_job(sandbox)


def test_a_delay_after_the_work_keeps_the_answer_back(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(10)).id
    sandbox.arm("POST", JOBS, delay_after=60)
    with sandbox.client(timeout=0.5) as impatient, pytest.raises(APITimeoutError):
        impatient.fine_tuning.jobs.create(model="gpt-4o", training_file=file)
    wait_for_job(sandbox)


@pytest.mark.parametrize(
    "odd", [{"error": {}}, {"status": "paused"}, {"status": "dreaming"}, {"hyperparameters": None}]
)
def test_an_odd_body_is_laid_over_the_answer(sandbox: Sandbox, odd: dict[str, Any]) -> None:
    job = sandbox.job()
    sandbox.arm("GET", JOBS + "/*", body=odd)
    assert sandbox.lenient.fine_tuning.jobs.retrieve(job.id).to_dict(warnings=False).items() >= odd.items()
    sandbox.arm("GET", JOBS + "/{job_id}", body=odd)
    with pytest.raises(APIResponseValidationError):
        sandbox.openai.fine_tuning.jobs.retrieve(job.id)


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        (JOBS, [JOBS]),
        (JOBS + "/*", [JOBS + "/a"]),
        (JOBS + "/{id}/events", [JOBS + "/a/events"]),
        (JOBS + "/**", [JOBS + "/a", JOBS + "/a/events"]),
        (JOBS + "**", [JOBS, JOBS + "/a", JOBS + "/a/events"]),
    ],
)
def test_a_star_is_one_segment_and_two_are_any(sandbox: Sandbox, pattern: str, hit: list[str]) -> None:
    sandbox.arm("GET", pattern, status=418, times=9)
    paths = [JOBS, JOBS + "/a", JOBS + "/a/events"]
    assert [path for path in paths if sandbox.http.get(path).status_code == 418] == hit


def test_a_fault_can_let_calls_pass_first(sandbox: Sandbox) -> None:
    sandbox.arm("*", "/v1/models", status=500, skip=2)
    assert [sandbox.http.get("/v1/models").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_faults_are_listed_while_they_have_calls_left_and_can_be_cleared(sandbox: Sandbox) -> None:
    sandbox.arm("GET", "/v1/models", status=500, times=2)
    sandbox.http.get("/v1/models")
    assert [fault["times"] for fault in sandbox.http.get("/sandbox/faults").json()["data"]] == [1]
    assert sandbox.http.delete("/sandbox/faults").status_code == 200
    assert sandbox.http.get("/v1/models").status_code == 200


@pytest.mark.parametrize(
    "fault", [{}, {"drop": "sometimes"}, {"refusal": "none"}, {"job_error": "none"}, {"colour": 1}]
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: Sandbox, fault: dict[str, object]) -> None:
    assert sandbox.http.post("/sandbox/faults", json={"path": "/v1/models", **fault}).status_code == 400


def test_calls_are_counted_by_their_template_whatever_became_of_them(sandbox: Sandbox) -> None:
    sandbox.arm("POST", JOBS, drop="before")
    with pytest.raises(APIConnectionError):
        sandbox.job()
    job = sandbox.job()
    sandbox.openai.fine_tuning.jobs.cancel(job.id)
    assert sandbox.counted("POST /v1/fine_tuning/jobs") == 2
    assert sandbox.counted("POST /v1/fine_tuning/jobs/{job_id}/cancel") == 1
