"""Fireworks AI: a process that is killed in the middle of an upload or a create loses and doubles nothing."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.providers.dialects import Dialect
from tests.providers.stand_ins import LONG_AGO, Far, client, far_of
from tests.servers import until
from tests.world import Sandbox, lines

KILLS = 3
POINTS = [
    ("POST", "/v1/accounts/*/datasets", {"delay": 1.0}),
    ("POST", "/v1/accounts/*/datasets", {"delay_after": 600}),
    ("POST", "/v1/accounts/*/datasets/*:upload", {"delay": 1.0}),
    ("POST", "/v1/accounts/*/datasets/*:upload", {"delay_after": 600}),
    ("GET", "/v1/accounts/*/datasets/*", {"delay_after": 600}),
    ("POST", "/v1/accounts/*/supervisedFineTuningJobs", {"delay": 1.0}),
    ("POST", "/v1/accounts/*/supervisedFineTuningJobs", {"delay_after": 600}),
]


@pytest.fixture
def far(server: str, speaking: Callable[[str], Sandbox]) -> Iterator[Far]:
    with far_of(Dialect.FIREWORKS, speaking) as far:
        yield far


@pytest.mark.parametrize(("method", "path", "fault"), POINTS, ids=str)
def test_a_process_that_is_killed_at_any_point_loses_and_doubles_nothing(
    far: Far, method: str, path: str, fault: dict[str, Any]
) -> None:
    """A request that is delayed arrives after its sender has died, and after the next process has begun anew."""
    for number in range(KILLS):
        far.sandbox.arm(method, path, **fault)
        _kill_in_the_middle(far, number)
        _upload_and_create(far, number)
        assert len(far.provider.find_jobs(f"ftjob-{number}", LONG_AGO, "")) == 1
        far.sandbox.move(f"supervisedFineTuningJobs/ftjob-{number}", status="cancelled")
    if "delay" in fault:
        far.sandbox.arm(method, path, **fault)
    _upload_and_create(far, KILLS)  # answered after all that came late
    names = sorted(f"file-{number}.jsonl" for number in range(KILLS + 1))
    assert sorted(file.name for file in far.provider.list_files()) == names
    assert len(far.provider.list_jobs(LONG_AGO)) == KILLS + 1
    assert all(b"".join(far.provider.read_file(f"file-{number}")) == lines() for number in range(KILLS))


def _upload_and_create(far: Far, number: int) -> None:
    """What a worker does, from the beginning."""
    name = f"file-{number}.jsonl"
    file = far.provider.find_file(name, len(lines()), LONG_AGO) or far.file(name=name)
    if not far.provider.find_jobs(f"ftjob-{number}", LONG_AGO, ""):
        far.job(f"ftjob-{number}", training_file=file.id)


def _kill_in_the_middle(far: Far, number: int) -> None:
    """Let a process of its own do the same, and kill it when the armed call has come."""
    child = os.fork()
    if child == 0:
        try:
            client.cache_clear()
            _upload_and_create(Far(far.stand_in, far.sandbox), number)
        finally:
            os._exit(1)
    until(lambda: not far.sandbox.http.get("/sandbox/faults").json()["data"])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
