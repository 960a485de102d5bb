"""Files of many gigabytes are copied, packed and removed beside the requests, which are answered meanwhile."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.trainer.in_process import KEY, trained, trainer_in
from tests.trainer.trainer_process import add_base, chats
from trainer.server import job_folder
from trainer.server.engine import Trainer
from trainer.server.processes.protocol import Ended
from wire_server import app
from wire_server.middleware import WireMiddleware

PATIENCE = 60
BASE = "tiny"


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Trainer]:
    with trainer_in(tmp_path, max_active_jobs_per_model=1) as trainer:
        (tmp_path / "weights").mkdir()
        add_base(tmp_path, BASE, tmp_path / "weights")
        yield trainer


class Held:
    """A call that has begun, and goes on when the test lets it."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call, self._begun, self._may_go_on = call, threading.Event(), threading.Event()

    def __call__(self, *arguments: Any, **named: Any) -> None:
        self._begun.set()
        if not self._may_go_on.wait(PATIENCE):
            raise TimeoutError("nobody let it go on: it holds up who should")
        self._call(*arguments, **named)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, PATIENCE)

    def let_go_on(self) -> None:
        self._may_go_on.set()


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Iterator[Held]:
    call = Held(getattr(module, name))
    monkeypatch.setattr(module, name, call)
    try:
        yield call
    finally:
        call.let_go_on()


@asynccontextmanager
async def client(trainer: Trainer) -> AsyncIterator[httpx2.AsyncClient]:
    served = WireMiddleware(app.create_app("test", trainer, app.OPENAI_ROUTERS), trainer)
    transport, headers = httpx2.ASGITransport(served), {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://trainer/v1", headers=headers) as http:
        yield http


async def upload(http: httpx2.AsyncClient) -> str:
    lines = "\n".join(map(json.dumps, chats(10))).encode()
    answer = await http.post("/files", data={"purpose": "fine-tune"}, files={"file": ("train.jsonl", lines)})
    return str(answer.raise_for_status().json()["id"])


async def create(http: httpx2.AsyncClient, file: str, model: str = BASE) -> httpx2.Response:
    return await http.post("/fine_tuning/jobs", json={"training_file": file, "model": model})


async def gone(path: Path) -> None:
    with anyio.fail_after(PATIENCE):
        while path.exists():
            await anyio.sleep(0.01)


async def tuned_model(trainer: Trainer) -> str:
    trainer.runner._ended = {trained(trainer).id: Ended(0)}
    await trainer.runner._look()
    return next(iter(trainer.tuned))


@pytest.mark.anyio
async def test_a_model_is_removed_beside_the_requests(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await tuned_model(trainer)
    folder = Path(trainer.tuned[name].folder)
    with held(monkeypatch, shutil, "rmtree") as removal:
        async with client(trainer) as http:
            assert (await http.delete(f"/models/{name}")).json()["deleted"]
            await removal.has_begun()
            assert [model["id"] for model in (await http.get("/models")).json()["data"]] == [BASE]
            assert list(folder.iterdir())
            removal.let_go_on()
            await gone(folder)


@pytest.mark.anyio
async def test_a_model_is_packed_beside_the_requests(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(trainer)
    trainer.runner._ended = {run.id: Ended(0)}
    with held(monkeypatch, job_folder, "pack") as packing:
        async with client(trainer) as http, asyncio.TaskGroup() as group:
            group.create_task(trainer.runner._look())
            await packing.has_begun()
            assert (await http.get(f"/fine_tuning/jobs/{run.id}")).json()["status"] == "running"
            packing.let_go_on()
    assert run.job.status == "succeeded"


@pytest.mark.anyio
async def test_a_job_gets_its_copies_beside_the_requests_and_only_who_asks_for_all_jobs_waits(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(trainer) as http, asyncio.TaskGroup() as group:
        file = await upload(http)
        with held(monkeypatch, job_folder, "make") as copying:
            creation = group.create_task(create(http, file))
            await copying.has_begun()
            listing = group.create_task(http.get("/fine_tuning/jobs"))
            assert (await create(http, file)).json()["error"]["code"] == "active_job_limit_exceeded"
            assert (await http.get(f"/files/{file}")).is_success
            assert not listing.done()  # who lost the answer would create the job anew
            copying.let_go_on()
            job = (await creation).raise_for_status().json()
            assert [each["id"] for each in (await listing).json()["data"]] == [job["id"]]
    assert (trainer.job_folder(job["id"]) / job_folder.TRAIN).exists()


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["file", "model"])
async def test_a_job_whose_file_or_model_is_deleted_while_it_is_copied_is_refused(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name = await tuned_model(trainer)
    async with client(trainer) as http, asyncio.TaskGroup() as group:
        file = await upload(http)
        stored = trainer.files[file].path
        with held(monkeypatch, job_folder, "make") as copying:
            creation = group.create_task(create(http, file, name))
            await copying.has_begun()
            (created,) = (path for path in trainer._being_made)
            assert (await http.delete(f"/files/{file}" if kind == "file" else f"/models/{name}")).is_success
            if kind == "file":
                await gone(stored)
            copying.let_go_on()
            error = (await creation).json()["error"]
        assert (error["param"], error["code"]) == (
            ("training_file", None) if kind == "file" else ("model", "model_not_available")
        )
        assert (await http.get(f"/fine_tuning/jobs/{created}")).status_code == 404
    await gone(trainer.job_folder(created))
