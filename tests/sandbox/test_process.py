"""The process: how it starts, what can be set, and that it ends."""

import os
import signal
import subprocess
import sys

import pytest
from openai import APITimeoutError, BadRequestError

from tests.sandbox.process import ROOT, Sandbox


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


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "99999", "--port (SANDBOX_PORT) must be from 0 to 65535"),
        ("PORT", "http", "argument --port: invalid int value: 'http'"),
        ("SPEED", "nan", "--speed (SANDBOX_SPEED) must be a number from 0 on"),
        ("MAX_FILE_BYTES", "-1", "--max-file-bytes (SANDBOX_MAX_FILE_BYTES) must be a number from 0 on"),
        (
            "HOST",
            "no.such.invalid",
            "Nobody can listen at no.such.invalid:8790 (SANDBOX_HOST, SANDBOX_PORT): ",
        ),
        ("FOLDER", "/proc/sandbox", "The sandbox cannot use /proc/sandbox (SANDBOX_FOLDER): "),
    ],
)
def test_a_wrong_setting_is_a_sentence(name: str, value: str, sentence: str) -> None:
    given = {**os.environ, f"SANDBOX_{name}": value}
    command = [sys.executable, "-m", "sandbox"]
    ended = subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode in {1, 2}
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
