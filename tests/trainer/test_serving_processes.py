"""A process for each base: started at first use, again after a crash, and never left behind."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.trainer.environment import ROOT
from tests.trainer.serving_stand_ins import END, ask, make_base, pids, python, reply, request
from trainer.server.serving.builtin import ServedBase
from trainer.server.serving.command import Command
from trainer.server.serving.pool import Serving
from trainer.server.settings import Settings

PATIENCE = 120.0


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(python=python(tmp_path), sockets=tmp_path, logs=tmp_path / "logs", threads=1)


async def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def _run(command: Command, base: Path, story: Callable[[ServedBase], Awaitable[None]]) -> None:
    async def whole() -> None:
        served = ServedBase(command, str(base))
        try:
            await story(served)
        finally:
            await served.stop()

    asyncio.run(whole())


def test_bases_are_started_at_first_use_and_make_room_for_each_other(tmp_path: Path) -> None:
    one, two = make_base(tmp_path, "one"), make_base(tmp_path, "two")

    async def story() -> None:
        serving = Serving(python(tmp_path), Settings(folder=str(tmp_path), devices="cpu", max_bases_loaded=1))
        assert await reply(serving, one, adapter="/a") == [{"text": "one /a", "logprobs": None}, END]
        assert await reply(serving, one) == [{"text": "one None", "logprobs": None}, END]
        assert await reply(serving, two) == [{"text": "two None", "logprobs": None}, END]
        assert (len(pids(one)), len(pids(two))) == (1, 1)
        assert not psutil.pid_exists(pids(one)[0])
        async with aclosing(serving.reply(str(two), None, request("wait"))) as lines:
            await anext(lines)
            [line] = await reply(serving, one)
            assert (line["error"]["status"], line["error"]["code"]) == (429, "bases_in_use")
            assert line["error"]["retry_after"] > 0
        await _until((two / "cancelled").exists)
        assert (await reply(serving, one))[-1] == END
        await serving.stop()
        assert not any(psutil.pid_exists(pid) for pid in [*pids(one), *pids(two)])

    asyncio.run(story())


def test_a_process_that_crashed_is_started_again(tmp_path: Path, command: Command) -> None:
    base = make_base(tmp_path, "one")

    async def story(served: ServedBase) -> None:
        [line] = await ask(served, "crash")
        assert (line["error"]["status"], line["error"]["code"]) == (500, "serving_ended")
        while "error" in (answer := await ask(served))[0]:
            assert (answer[0]["error"]["status"], answer[0]["error"]["code"]) == (429, "serving_ended")
            await asyncio.sleep(0.05)
        assert answer[-1] == END
        assert len(pids(base)) == 2

    _run(command, base, story)


def test_a_base_that_cannot_be_loaded_is_not_tried_again_at_once(tmp_path: Path, command: Command) -> None:
    base = make_base(tmp_path, "one", "broken")

    async def story(served: ServedBase) -> None:
        [line] = await ask(served)
        assert (line["error"]["status"], line["error"]["code"]) == (500, "base_not_loaded")
        for _ in range(3):
            [line] = await ask(served)
            assert (line["error"]["status"], line["error"]["code"]) == (429, "serving_ended")
            assert 0 < line["error"]["retry_after"] <= 60
        assert len(pids(base)) == 1
        assert "no weights here" in (tmp_path / "logs" / "one.log").read_text()

    _run(replace(command, first_pause=3600), base, story)


def test_while_a_base_loads_few_wait_and_none_for_ever(tmp_path: Path, command: Command) -> None:
    base = make_base(tmp_path, "one", "slow")

    async def story(served: ServedBase) -> None:
        waiting = [asyncio.create_task(ask(served)) for _ in range(2)]
        await asyncio.sleep(0)  # both wait now
        [line] = await ask(served)
        assert (line["error"]["status"], line["error"]["code"]) == (429, "model_loading")
        assert line["error"]["retry_after"] > 0
        (base / "slow").unlink()
        assert [(await answer)[-1] for answer in waiting] == [END, END]

    _run(replace(command, most_waiting=2), base, story)
    (base / "slow").touch()

    async def impatient(served: ServedBase) -> None:
        [line] = await ask(served)
        assert line["error"]["code"] == "model_loading"
        (base / "slow").unlink()
        while "error" in (answer := await ask(served))[0]:
            assert answer[0]["error"]["code"] == "model_loading"
        assert answer[-1] == END
        assert len(pids(base)) == 2  # one for each story

    _run(replace(command, seconds_to_load=0.01), base, impatient)


def test_a_process_that_left_because_nobody_asked_is_started_without_an_error(tmp_path: Path, command: Command) -> None:
    base = make_base(tmp_path, "one")

    async def story(served: ServedBase) -> None:
        for said in ("leave", "leave", "Hi"):
            assert (await ask(served, said))[-1] == END
        assert len(pids(base)) == 3

    _run(command, base, story)


SERVER = """
import asyncio, sys
from pathlib import Path
from trainer.server.serving.builtin import ServedBase
from trainer.server.serving.command import Command
folder = Path(sys.argv[1])
async def main():
    served = ServedBase(Command(python=folder / "python", sockets=folder, logs=folder, threads=1), str(folder / "one"))
    async for line in served.ask({"adapter": None, "messages": [{"role": "user", "content": "wait"}]}):
        print("answered", flush=True)
asyncio.run(main())
"""


def test_a_server_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    base = make_base(tmp_path, "one")
    python(tmp_path)
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"answered\n"
        [pid] = pids(base)
        assert psutil.pid_exists(pid)
        server.kill()
    asyncio.run(_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE))
