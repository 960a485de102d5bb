"""Bases that share too little memory, GPUs and patience: what loads is not evicted, what is idle gives way."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.trainer.serving_stand_ins import END, ask, make_base, pids, python, reply, request
from trainer.server.serving import devices, process
from trainer.server.serving.builtin import ServedBase
from trainer.server.serving.command import Command
from trainer.server.serving.pool import Serving
from trainer.server.settings import Settings

PATIENCE = 120.0


def _serving(folder: Path, max_bases_loaded: int) -> Serving:
    settings = Settings(folder=str(folder), devices="cpu", max_bases_loaded=max_bases_loaded)
    return Serving(python(folder), settings)


async def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_a_base_that_loads_is_not_evicted_although_its_client_was_sent_away(tmp_path: Path) -> None:
    one, two = make_base(tmp_path, "one", "slow"), make_base(tmp_path, "two")

    async def story() -> None:
        serving = _serving(tmp_path, max_bases_loaded=1)
        serving._command = replace(serving._command, seconds_to_load=0.01)
        [line] = await reply(serving, one)
        assert line["error"]["code"] == "model_loading"
        [line] = await reply(serving, two)
        assert (line["error"]["status"], line["error"]["code"]) == (429, "bases_in_use")
        (one / "slow").unlink()
        while "error" in (answer := await reply(serving, one))[0]:
            await asyncio.sleep(0.02)
        assert answer[-1] == END
        assert len(pids(one)) == 1
        await serving.stop()

    asyncio.run(story())


def test_without_memory_idle_bases_give_way_and_busy_ones_do_not(tmp_path: Path) -> None:
    one, two = make_base(tmp_path, "one"), make_base(tmp_path, "two")
    (one / "no room beside").write_text(str(two))
    (two / "no room beside").write_text(str(one))

    async def story() -> None:
        serving = _serving(tmp_path, max_bases_loaded=2)
        for asked in (one, two, one):
            assert (await reply(serving, asked))[-1] == END
        assert not psutil.pid_exists(pids(two)[-1])
        async with aclosing(serving.reply(str(one), None, request("wait"))) as lines:
            await anext(lines)
            for _ in range(2):
                [line] = await reply(serving, two)
                assert (line["error"]["status"], line["error"]["code"]) == (429, "out_of_memory")
                assert line["error"]["retry_after"] > 0
            assert len(pids(two)) == 3  # the second time it was not even tried
        await _until((one / "cancelled").exists)
        assert (await reply(serving, one))[-1] == END
        await serving.stop()

    asyncio.run(story())


def test_while_a_base_stops_others_answer_and_the_next_waits_for_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_LEAVE", 3600.0)
    one, two, three = make_base(tmp_path, "one", "stays"), make_base(tmp_path, "two"), make_base(tmp_path, "three")

    async def story() -> None:
        serving = _serving(tmp_path, max_bases_loaded=2)
        for asked in (one, two):
            assert (await reply(serving, asked))[-1] == END
        next_one = asyncio.create_task(reply(serving, three))
        await _until((one / "told to leave").exists)
        async with asyncio.timeout(PATIENCE):
            assert (await reply(serving, two))[-1] == END
        assert not (three / "pids").exists()
        (one / "stays").unlink()
        assert (await next_one)[-1] == END
        assert not psutil.pid_exists(pids(one)[0])
        await serving.stop()

    asyncio.run(story())


def test_a_base_that_does_not_leave_is_killed_although_the_client_that_needed_its_room_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_LEAVE", 3.0)
    one, two = make_base(tmp_path, "one", "stays"), make_base(tmp_path, "two")

    async def story() -> None:
        serving = _serving(tmp_path, max_bases_loaded=1)
        assert (await reply(serving, one))[-1] == END
        left = asyncio.create_task(reply(serving, two))
        await _until((one / "told to leave").exists)
        left.cancel()
        await _until(lambda: not psutil.pid_exists(pids(one)[0]))
        assert (await reply(serving, two))[-1] == END
        await serving.stop()

    asyncio.run(story())


def test_a_base_that_is_never_ready_is_not_loaded_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_LEAVE", 3600.0)
    folder = make_base(tmp_path, "one", "slow")
    waits: dict[str, Any] = {"most_seconds_to_load": 0.01, "first_pause": 3600}
    command = Command(python=python(tmp_path), sockets=tmp_path, logs=tmp_path / "logs", threads=1, **waits)

    async def story() -> None:
        served = ServedBase(command, str(folder))
        for status, code in [(500, "base_not_loaded"), (429, "serving_ended")]:
            [line] = await ask(served)
            assert (line["error"]["status"], line["error"]["code"]) == (status, code)
        await served.stop()

    asyncio.run(story())


def test_a_connection_that_fails_ends_neither_the_process_nor_other_answers(tmp_path: Path) -> None:
    folder = make_base(tmp_path, "one")
    command = Command(python=python(tmp_path), sockets=tmp_path, logs=tmp_path / "logs", threads=1)

    async def story() -> None:
        served = ServedBase(command, str(folder))
        async with aclosing(served.ask({"adapter": None, **request("wait")})) as lines:
            await anext(lines)
            [line] = await ask(served, "hang up")
            assert (line["error"]["status"], line["error"]["code"]) == (500, "serving_ended")
            assert not (folder / "cancelled").exists()
            assert (await ask(served))[-1] == END
        assert len(pids(folder)) == 1
        await served.stop()

    asyncio.run(story())


def _smi(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<END\n{said}\nEND\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("visible", "chosen"), [(None, "cuda:1"), ("2,0", "cuda:0"), ("GPU-c,GPU-b", "cuda:1"), ("7,8", "cuda:0")]
)
def test_a_base_is_loaded_where_jobs_have_left_the_most_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, chosen: str
) -> None:
    _smi(tmp_path, monkeypatch, "0, GPU-a, 1000\n1, GPU-b, 80000\n2, GPU-c, 30000")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.with_most_free_memory(["cuda:0", "cuda:1"]) == chosen


@pytest.mark.parametrize("said", ["no devices were found", "0, GPU-a, [N/A]"])
def test_where_free_memory_cannot_be_told_the_first_gpu_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    _smi(tmp_path, monkeypatch, said)
    assert devices.with_most_free_memory(["cuda:3", "cuda:4"]) == "cuda:3"


def test_bases_are_loaded_on_the_devices_of_jobs_unless_others_are_named() -> None:
    given: dict[str, Any] = {"devices": "cuda:0, cuda:1"}
    assert Settings(**given).serving_slots() == ["cuda:0", "cuda:1"]
    assert Settings(**given, serving_devices="cuda:1").serving_slots() == ["cuda:1"]
