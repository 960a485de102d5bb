"""A vLLM (a stand-in of it) that the trainer starts for a base, on a port of its own, and never leaves behind."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import APIError, InternalServerError, RateLimitError

from tests.trainer.trainer_process import BASE, Trainer
from tests.trainer.vllm import PATIENCE, PROGRAM, told, until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "vllm.log"


@pytest.fixture
def trainer(log: Path, tmp_path: Path) -> Iterator[Trainer]:
    command = f"{sys.executable} {PROGRAM} --log={log} --max-lora-rank=128"
    with Trainer(tmp_path / "trainer", vllm_command=command, vllm_max_loras=3) as trainer:
        yield trainer


def _ask(trainer: Trainer, said: str = "Hi", **more: Any) -> Any:
    asked: Any = [{"role": "user", "content": said}]
    return trainer.openai.chat.completions.create(model=BASE, messages=asked, **more)


def _answered(trainer: Trainer) -> str:
    """Also if it has to be started again first."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return str(_ask(trainer).choices[0].message.content)
        except (RateLimitError, InternalServerError):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def _pids(log: Path) -> list[int]:
    return [line["pid"] for line in told(log) if line["what"] == "started"]


def _is_over(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_is_started_with_a_key_on_this_machine_alone_and_again_after_a_kill(trainer: Trainer, log: Path) -> None:
    assert _answered(trainer).startswith(f"I am {trainer.folder}/bases/{BASE}/")
    [started] = [line for line in told(log) if line["what"] == "started"]
    options = started["options"]
    assert (options["host"], options["served_model_name"], options["generation_config"]) == (
        "127.0.0.1",
        "base",
        "vllm",
    )
    assert (options["max_loras"], options["max_lora_rank"], options["enable_lora"]) == ("3", "128", "True")
    chunks = _ask(trainer, "wait", stream=True)
    assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "I "]
    psutil.Process(started["pid"]).kill()
    with pytest.raises(APIError) as refused:
        next(chunks)
    assert refused.value.code == "serving_ended"
    assert _answered(trainer)
    assert len(_pids(log)) == 2


def test_it_ends_with_the_trainer_even_if_that_is_killed(trainer: Trainer, log: Path) -> None:
    assert _answered(trainer)
    trainer.stop(signal.SIGKILL)
    until(lambda: _is_over(_pids(log)[0]))
    trainer.start()
    assert _answered(trainer)
    guard = psutil.Process(_pids(log)[1]).parent()
    assert guard is not None
    guard.kill()
    until(lambda: _is_over(_pids(log)[1]))
    assert _answered(trainer)
