"""A worker's slots are shared between projects: who has its share is put off, and others go on."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from shared.datasets.models import Dataset, DatasetStatus
from shared.db.times import utc_now
from shared.projects.models import Credential
from shared.projects.service import default_credential
from shared.database import transaction
from tests.worker.support import change
from tests.world import Person, lines, row
from worker.datasets import dataset_step
from worker.runtime import shares
from worker.runtime.shares import LARGE_FILE_BYTES, Shares
from worker.runtime.steps import run

# The processes only take a slot and wait: no lock of another thread can be missing in them.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
fork = get_context("fork")


def _hold(table: Shares, project_id: str, is_heavy: bool, connection: Connection) -> None:
    connection.send(table.take(project_id, is_heavy=is_heavy))
    connection.poll(None)
    os._exit(0)


class Holders:
    """Processes that each take a slot of a table, until they are killed (`kill -9`)."""

    def __init__(self, table: Shares) -> None:
        self.table = table
        self.processes: list[tuple[BaseProcess, Connection]] = []

    def take(self, project_id: str, *, is_heavy: bool = False) -> bool:
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_hold, args=(self.table, project_id, is_heavy, theirs), daemon=True)
        process.start()
        self.processes.append((process, ours))
        has_slot: bool = ours.recv()
        return has_slot

    def kill_last(self) -> None:
        process, _ = self.processes.pop()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[Holders]:
    """The other processes of a worker with eight slots, beside this one."""
    shares.share(8)
    assert shares._shares is not None
    holders = Holders(shares._shares)
    yield holders
    while holders.processes:
        holders.kill_last()
    shares.share(1)
