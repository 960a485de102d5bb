"""The process: how it starts, what can be set, and that it ends."""

import signal

import pytest
from openai import APITimeoutError, BadRequestError

from tests.sandbox.process import Sandbox


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_names_its_address_and_ends_cleanly_when_told_to(number: int) -> None:
    with Sandbox() as sandbox:
        assert sandbox.first_line == f"sandbox: listening on {sandbox.url}\n"
        assert sandbox.openai.models.list().data
        assert sandbox.stop(number) == (0, "")


def test_an_armed_delay_does_not_keep_it_from_ending() -> None:
    with Sandbox() as sandbox:
        sandbox.arm("GET", "/v1/models", delay=60)
        with sandbox.client(timeout=0.05) as impatient, pytest.raises(APITimeoutError):
            impatient.models.list()
        assert sandbox.stop()[0] == 0


def test_what_is_set_in_the_environment_counts() -> None:
    with Sandbox(speed=0, organization="acme", upload_lifetime=0) as sandbox:
        upload = sandbox.openai.uploads.create(filename="a", purpose="batch", bytes=1, mime_type="text/jsonl")
        with pytest.raises(BadRequestError, match="expired"):
            sandbox.openai.uploads.cancel(upload.id)
        assert sandbox.job().organization_id == "org-acme"


def test_at_speed_zero_a_job_stands_still_until_it_is_moved() -> None:
    with Sandbox(speed=0) as sandbox:
        job = sandbox.job()
        assert sandbox.openai.fine_tuning.jobs.retrieve(job.id).status == "validating_files"
        assert sandbox.move(job, status="running").estimated_finish is None
        assert str(sandbox.move(job, status="paused").status) == "paused"
        assert sandbox.openai.fine_tuning.jobs.resume(job.id).status == "queued"
        assert sandbox.move(job, status="succeeded", hold=False).status == "succeeded"
