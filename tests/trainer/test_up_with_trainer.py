"""`tunery up --trainer`: a job learns for real through Tunery, beside the sandbox, and all is there after a restart."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from cli.embedded import postgres_home
from tests.cli.test_up import Up
from tests.trainer import environment
from tests.world import lines

PATIENCE = 600.0  # on a machine that does much else


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    postgres_home.remove(folder)


@pytest.mark.timeout(1500)
def test_the_trainer_is_one_more_account_and_is_there_after_a_restart(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINER_PYTHON", environment.python())
    add = [sys.executable, "-m", "trainer", "base", "add", str(environment.tiny_base()), "--name", "tiny"]
    subprocess.run([*add, "--folder", str(state / "trainer")], check=True, cwd=environment.ROOT)

    up = Up(state, "--trainer", TUNERY_POLL_EVERY="0.5")
    variables = up.wait()
    assert "the sandbox, which learns nothing, and with the trainer, which learns" in up.said.read_text()
    client = OpenAI(base_url=variables["OPENAI_BASE_URL"], api_key=variables["OPENAI_API_KEY"], max_retries=9)
    until(lambda: {"tiny", "gpt-4o-mini-2024-07-18"} <= {model.id for model in client.models.list()})
    file = client.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="tiny")
    until(lambda: client.fine_tuning.jobs.retrieve(job.id).status in ("succeeded", "failed"))
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error
    assert up.end(signal.SIGTERM) == 0

    again = Up(state, "--trainer", TUNERY_POLL_EVERY="0.5")
    assert again.wait() == variables
    answer = client.chat.completions.create(
        model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "Question 1"}], max_tokens=4
    )
    assert answer.usage
    assert answer.usage.completion_tokens > 0
    assert again.end(signal.SIGTERM) == 0
