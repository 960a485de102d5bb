"""Starts the trainer: reads what is kept, lets interrupted jobs go on, and listens."""

import asyncio
import fcntl
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from fastapi import FastAPI

from trainer import environment
from trainer.server.engine import Trainer
from trainer.server.processes import ray_settings
from trainer.server.processes.local import ThisMachine
from trainer.server.processes.ray import RayCluster
from trainer.server.processes.ray_settings import RaySettings
from trainer.server.settings import Settings, read
from trainer.server.store import TrainerStore
from wire_server import app
from wire_server.middleware import WireMiddleware
from wire_server.process import listening


def run(arguments: Sequence[str]) -> None:
    """Serves until a signal comes. Exits with a sentence where something is missing; raises `NotSetUp`."""
    listening.log_plainly()
    listening.end_on_signals()
    settings = read(arguments)
    python = environment.find_python(settings.path)
    cluster = ray_settings.read(settings)
    with _only_one(settings.path), listening.open_port("trainer", settings) as listener:
        state = _state(settings, python, cluster)
        application = app.create_app("Tunery's trainer", state, app.OPENAI_ROUTERS, _running)
        listening.serve("trainer", WireMiddleware(application, state), listener, lifespan=True)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two trainers in one folder would each start the same jobs."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "trainer.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.exit(f"Another trainer runs in {folder} (TRAINER_FOLDER).")
            yield
    except PermissionError as error:
        sys.exit(f"The trainer cannot use {folder} (TRAINER_FOLDER): {error.strerror}.")


def _state(settings: Settings, python: Path, cluster: RaySettings | None) -> Trainer:
    database = settings.path / "state.db"
    try:
        (settings.path / "files").mkdir(mode=0o700, exist_ok=True)
        machines = RayCluster(cluster, python) if cluster else ThisMachine(settings, python)
        return Trainer(settings, TrainerStore(database), python, machines)
    except (sqlite3.Error, msgspec.DecodeError) as error:
        sys.exit(f"The trainer cannot read {database}: {error}. Put a copy of it back, or move {settings.path} away.")


@asynccontextmanager
async def _running(application: FastAPI) -> AsyncIterator[None]:
    trainer = application.state.provider
    assert isinstance(trainer, Trainer)
    work = asyncio.create_task(trainer.runner.work())
    yield
    trainer.runner.stop()
    await work
    await trainer.serving.stop()
    trainer.stop_removing()
