"""Against a stand-in of Ray: a job is submitted once whatever is lost, how it ended is understood, nothing blocks."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.stand_in_ray import StandInRay
from trainer.server.processes import ray_settings
from trainer.server.processes.protocol import Ended
from trainer.server.processes.ray import RayCluster, RayProcess
from trainer.server.settings import Settings

PATIENCE = 120.0
ID = "ftjob-1-1"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def ray() -> Iterator[StandInRay]:
    with StandInRay() as ray:
        yield ray


def job(folder: Path) -> Any:
    kept = SimpleNamespace(attempt=1, in_cluster=True)
    return SimpleNamespace(kept=kept, job=SimpleNamespace(id="ftjob-1", status="running"), folder=folder, is_over=False)


def cluster(port: int, **settings: Any) -> RayCluster:
    read = ray_settings.read(Settings(ray_address=f"http://127.0.0.1:{port}/", **settings))
    assert read
    return RayCluster(read, Path("/env/bin/python"))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def end_of(process: RayProcess | None) -> Ended:
    assert process
    await until(process.ended)
    ended = process.ended()
    assert ended
    return ended


async def test_it_asks_for_its_resources_by_an_id_of_ours(ray: StandInRay, tmp_path: Path) -> None:
    there = cluster(ray.port, ray_gpus=2, ray_memory_gb=3, ray_resources="slot=1, disk=0.5", ray_token="secret")
    ray.first = {"status": "SUCCEEDED"}
    assert await end_of(there.start(job(tmp_path))) == Ended(0)
    (asked,) = ray.submitted
    assert asked.pop("entrypoint").endswith(f"/env/bin/python -m trainer.job {tmp_path}")
    assert asked == {
        "submission_id": ID,
        "entrypoint_num_cpus": 1,
        "entrypoint_num_gpus": 2,
        "entrypoint_memory": 3 * 1024**3,
        "entrypoint_resources": {"slot": 1, "disk": 0.5},
    }
    assert ray.tokens == {"Bearer secret"}
    assert "secret" not in repr(there.settings)
    assert (tmp_path / "ask").read_text() == "leave 0\n"
    await there.close()


@pytest.mark.parametrize("is_there", [True, False], ids=["the id is taken", "the answer is lost"])
async def test_it_is_submitted_once(ray: StandInRay, tmp_path: Path, *, is_there: bool) -> None:
    if is_there:
        ray.jobs[ID] = {"status": "RUNNING"}
    ray.lost_answers = 1
    there = cluster(ray.port)
    process = there.start(job(tmp_path))
    await until(lambda: ID in ray.jobs)
    ray.jobs[ID] = {"status": "SUCCEEDED"}
    assert await end_of(process) == Ended(0)
    assert len(ray.submitted) == 1
    assert process.news() == []
    await there.close()


async def test_a_cluster_that_is_away_is_told_once_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, held_port: int
) -> None:
    there = cluster(held_port)
    with caplog.at_level(logging.INFO, logger="trainer"):
        process = there.start(job(tmp_path))
        await until(lambda: caplog.records)
        with StandInRay(held_port) as ray:
            ray.refuses = (401, "Unauthorized")
            ray.first = {"status": "SUCCEEDED"}
            await until(lambda: ray.tokens)
            ray.refuses = None
            assert await end_of(process) == Ended(0)
    (away, back) = process.news()
    assert away.startswith("The cluster cannot be reached since ")
    assert back == "The cluster can be reached again"
    assert len(caplog.records) == 2, caplog.text
    await there.close()


@pytest.mark.parametrize(
    ("known", "ended"),
    [
        ({"status": "FAILED", "driver_exit_code": 75}, Ended(75)),
        ({"status": "FAILED", "driver_exit_code": 3}, Ended(3)),
        ({"status": "FAILED", "driver_exit_code": 76}, Ended(76)),
        ({"status": "FAILED", "driver_exit_code": 137}, Ended(-9)),
        ({"status": "FAILED", "driver_exit_code": -9}, Ended(-9)),
        ({"status": "FAILED", "message": "Unexpected error occurred: killed by the OOM monitor"}, Ended(-9)),
        (
            {"status": "FAILED", "message": "It could not be scheduled\nmore"},
            Ended(75, lost="It could not be scheduled"),
        ),
        ({"status": "STOPPED"}, Ended(75, lost="somebody stopped it in the cluster")),
    ],
)
async def test_how_it_ended_is_understood(ray: StandInRay, tmp_path: Path, known: dict[str, Any], ended: Ended) -> None:
    ray.first = known
    there = cluster(ray.port)
    assert await end_of(there.start(job(tmp_path))) == ended
    log = tmp_path / "stderr.log"
    assert log.exists() == (known["status"] == "FAILED" and ended != Ended(75))
    assert not log.exists() or log.read_text().endswith("the last word")
    await there.close()


async def test_one_that_the_cluster_forgot_is_lost(ray: StandInRay, tmp_path: Path) -> None:
    there = cluster(ray.port)
    assert "no longer knows it" in (await end_of(there.find(job(tmp_path)))).lost
    assert ray.submitted == []
    await there.close()


async def test_what_a_call_finds_is_told_however_often_news_were_asked_for_meanwhile(tmp_path: Path) -> None:
    holding = asyncio.Event()

    async def hold_and_hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        holding.set()
        await until(lambda: not holding.is_set())
        writer.close()

    async with await asyncio.start_server(hold_and_hang_up, "127.0.0.1") as server:
        there = cluster(server.sockets[0].getsockname()[1])
        process = there.find(job(tmp_path))
        assert process
        await holding.wait()
        assert process.news() == []
        holding.clear()
        await until(lambda: any("cannot be reached since" in sentence for sentence in process.news()))
        process.let_go()
        await there.close()


async def test_a_waiting_job_that_is_cancelled_is_stopped_and_not_waited_for(ray: StandInRay, tmp_path: Path) -> None:
    ray.first = {"status": "PENDING"}
    there = cluster(ray.port)
    process = there.start(job(tmp_path))
    process.ask_to_cancel()
    assert (await end_of(process)).lost == ""
    assert ray.stopped == [ID]
    assert (tmp_path / "ask").read_text() == "cancel 1\n"
    await there.close()


async def test_a_long_log_is_kept_in_part(ray: StandInRay, tmp_path: Path) -> None:
    ray.first = {"status": "FAILED", "driver_exit_code": 1}
    ray.log = "x" * 1_000_000 + "\nthe end"
    there = cluster(ray.port)
    assert await end_of(there.start(job(tmp_path))) == Ended(1)
    kept = (tmp_path / "stderr.log").read_text()
    assert len(kept) == 64 * 1024
    assert kept.endswith("the end")
    await there.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ray_address": "head:8265"}, "TRAINER_RAY_ADDRESS"),
        ({"ray_slots": 0}, "TRAINER_RAY_SLOTS"),
        ({"ray_resources": "slot"}, "TRAINER_RAY_RESOURCES"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        ray_settings.read(Settings(**{"ray_address": "http://head:8265"} | settings))
