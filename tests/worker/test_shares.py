"""A worker's slots are shared between projects: who has its share is put off, and others go on."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest
from structlog.testing import capture_logs

from shared.database import transaction
from shared.datasets.models import Dataset, DatasetStatus
from shared.db.times import utc_now
from shared.jobs.models import Watch
from shared.projects.models import Credential
from tests.worker.support import change, ids
from tests.world import Person, lines, row
from worker.datasets import dataset_step
from worker.jobs import watch
from worker.runtime import shares
from worker.runtime.shares import LARGE_FILE_BYTES, Shares
from worker.runtime.steps import run

# The processes only take a slot and wait: no lock of another thread can be missing in them.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
fork = get_context("fork")


def _hold(take: Callable[[], bool], connection: Connection) -> None:
    connection.send(take())
    connection.poll(None)
    os._exit(0)


class Holders:
    """Processes that each take a slot of a table, until they are killed (`kill -9`)."""

    def __init__(self, table: Shares) -> None:
        self.table = table
        self.processes: list[tuple[BaseProcess, Connection]] = []

    def take(self, project_id: str, *, is_heavy: bool = False) -> bool:
        return self._started(partial(self.table.take, project_id, is_heavy=is_heavy))

    def take_idle(self, project_id: str) -> bool:
        return self._started(partial(self.table.take_idle, project_id))

    def _started(self, take: Callable[[], bool]) -> bool:
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_hold, args=(take, theirs), daemon=True)
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


def test_a_project_gets_most_slots_alone_and_fewer_beside_others(worker: Holders) -> None:
    assert [worker.take("proj_a") for _ in range(6)] == [True] * 5 + [False]
    assert [worker.take("proj_b") for _ in range(3)] == [True, True, False]
    assert worker.take("proj_c")


def test_what_is_for_all_projects_always_gets_a_slot(worker: Holders) -> None:
    assert [worker.take("") for _ in range(7)] == [True] * 7
    assert worker.take("proj_a")


def test_a_killed_process_keeps_no_slot(worker: Holders) -> None:
    assert [worker.take("proj_a") for _ in range(5)] == [True] * 5
    assert not worker.table.take("proj_a")
    worker.processes.append(worker.processes.pop(0))
    worker.kill_last()
    assert worker.table.take("proj_a")


def test_a_process_that_is_killed_while_it_looks_at_the_table_holds_nobody_up(worker: Holders) -> None:
    def look(connection: Connection) -> None:
        with worker.table._locked():
            connection.send(True)
            connection.poll(None)

    ours, theirs = fork.Pipe()
    process = fork.Process(target=look, args=(theirs,), daemon=True)
    process.start()
    worker.processes.append((process, ours))
    assert ours.recv()
    worker.kill_last()
    assert worker.table.take("proj_a")


def test_heavy_steps_leave_half_of_the_slots_to_others(worker: Holders) -> None:
    assert [worker.take("proj_a", is_heavy=True) for _ in range(3)] == [True, True, False]
    assert [worker.take("proj_b", is_heavy=True) for _ in range(2)] == [True, False]
    assert worker.take("proj_c", is_heavy=True)
    assert not worker.take("proj_d", is_heavy=True)
    assert worker.take("proj_d")


def test_what_nobody_waits_for_leaves_half_of_the_slots_free(worker: Holders) -> None:
    assert [worker.take_idle("proj_a") for _ in range(5)] == [True] * 4 + [False]
    assert [worker.take("proj_b", is_heavy=True) for _ in range(2)] == [True, True]
    assert worker.take("proj_c")


def test_what_nobody_waits_for_gets_no_slot_of_a_busy_worker(worker: Holders) -> None:
    assert [worker.take("proj_a") for _ in range(4)] == [True] * 4
    assert not worker.table.take_idle("proj_b")
    worker.kill_last()
    assert worker.table.take_idle("proj_b")


def test_a_heavy_slot_that_gets_free_is_for_the_project_that_was_refused_first(worker: Holders) -> None:
    holders = ["proj_a", "proj_a", "proj_b", "proj_c"]
    assert all(worker.take(project_id, is_heavy=True) for project_id in holders)
    assert not worker.table.take("proj_d", is_heavy=True)
    assert not worker.table.take("proj_e", is_heavy=True)
    worker.processes.append(worker.processes.pop(3))
    worker.kill_last()
    assert not worker.table.take("proj_e", is_heavy=True)
    assert worker.table.take("proj_d", is_heavy=True)


def test_a_step_beyond_its_projects_share_is_put_off_and_anothers_goes_on(
    alice: Person, bob: Person, worker: Holders
) -> None:
    alices, bobs = alice.upload(lines(12)), bob.upload(lines(12))
    assert [worker.take(alice.project_id) for _ in range(5)] == [True] * 5
    began = utc_now()
    run(dataset_step.advance, alices)
    put_off = row(Dataset, alices)
    assert (put_off.status, put_off.failures) == (DatasetStatus.UPLOADED, 0)
    assert put_off.due_at > began
    run(dataset_step.advance, bobs)
    assert row(Dataset, bobs).status is DatasetStatus.PROCESSED
    worker.kill_last()
    change(Dataset, alices, due_at=utc_now())
    run(dataset_step.advance, alices)
    assert row(Dataset, alices).status is DatasetStatus.PROCESSED


@pytest.mark.parametrize("kind", ["large file", "address"])
def test_heavy_steps_are_put_off_while_a_small_file_is_checked(alice: Person, worker: Holders, kind: str) -> None:
    small = alice.upload(lines(12))
    if kind == "address":
        heavy = alice.http.post("/datasets", json={"url": "http://127.0.0.1:9/train.jsonl"}).json()["id"]
    else:
        heavy = alice.upload(lines(12) * (1 + LARGE_FILE_BYTES // len(lines(12))))
    assert all(worker.take(project_id, is_heavy=True) for project_id in (alice.project_id, "proj_a", "proj_b"))
    run(dataset_step.advance, heavy)
    assert (row(Dataset, heavy).status, row(Dataset, heavy).failures) == (DatasetStatus.UPLOADED, 0)
    run(dataset_step.advance, small)
    assert row(Dataset, small).status is DatasetStatus.PROCESSED


def test_the_list_of_a_projects_own_account_counts_for_the_project(alice: Person, worker: Holders) -> None:
    credential = Credential(provider="own", base_url="http://127.0.0.1:9/v1", project_id=alice.project_id)
    with transaction() as session:
        session.add(credential)
        session.flush()
        session.add(Watch(credential_id=credential.id))
    [watch_id] = ids(Watch)
    assert [worker.take(alice.project_id) for _ in range(5)] == [True] * 5
    run(watch.watch, watch_id)
    assert row(Watch, watch_id).due_at is not None  # to be released, since it has no jobs, once it has a slot
    worker.kill_last()
    change(Watch, watch_id, due_at=utc_now())
    run(watch.watch, watch_id)
    assert row(Watch, watch_id).due_at is None


def test_a_worker_with_one_slot_says_that_it_shares_nothing() -> None:
    with capture_logs() as said:
        shares.share(2)
        assert said == []
        shares.share(1)
    assert [(each["log_level"], "one slot" in each["event"]) for each in said] == [("warning", True)]
