"""A vLLM (a stand-in of it) that the trainer starts for a base, on a port of its own, and never leaves behind."""

import asyncio
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
from trainer.server.serving import process
from trainer.server.serving.lines import Unavailable
from trainer.server.serving.vllm.chats import Chats
from trainer.server.serving.vllm.process import VllmCommand, VllmProcess

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


ASKED: dict[str, Any] = {
    "adapter": None,
    "messages": [{"role": "user", "content": "Hi"}],
    "temperature": 1.0,
    "top_p": 1.0,
    "stop": [],
    "max_tokens": None,
    "seed": None,
    "logprobs": None,
    "tools": None,
}
NEVER_READY = """
import subprocess, sys, pathlib
engine = subprocess.Popen(["sleep", "3600"])
pathlib.Path(sys.argv[1]).write_text(str(engine.pid) + "\\n")
engine.wait()
"""


def test_it_ends_even_if_the_chats_with_it_do_not_end_well(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"{sys.executable} {PROGRAM} --log={log}"

    stop = Chats.stop

    async def broken(chats: Chats) -> None:
        await stop(chats)
        raise asyncio.CancelledError

    async def story() -> None:
        served = VllmProcess(VllmCommand(words=words, logs=tmp_path, max_loras=1), "/weights/tiny")
        assert [line async for line in served.ask(ASKED)][-1]["end"] == "stop"
        monkeypatch.setattr(Chats, "stop", broken)
        with pytest.raises(asyncio.CancelledError):
            await served.stop()
        assert not served.is_running

    asyncio.run(story())
    until(lambda: _is_over(_pids(log)[0]))


def test_one_that_is_never_ready_is_ended_with_its_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, file = tmp_path / "never_ready.py", tmp_path / "engine"
    program.write_text(NEVER_READY)

    async def too_long(_: object) -> bool:
        while not (file.exists() and file.read_text().endswith("\n")):
            await asyncio.sleep(0.05)
        raise TimeoutError

    monkeypatch.setattr(process, "_says_ready", too_long)
    monkeypatch.setattr(process, "SECONDS_TO_LEAVE", 3600.0)

    async def story() -> None:
        command = VllmCommand(words=f"{sys.executable} {program} {file}", logs=tmp_path, max_loras=1)
        with pytest.raises(Unavailable, match="could not be loaded"):
            await anext(VllmProcess(command, "/weights/tiny").ask(ASKED))

    asyncio.run(story())
    until(lambda: _is_over(int(file.read_text())))
