"""A worker that is killed between any two lines that matter, and what becomes of its job."""

from collections.abc import Iterator

import pytest

from shared.webhooks.event_types import EventType
from tests.servers import Receiver
from tests.worker.boundaries import BOUNDARIES, check_webhooks, crash_and_go_on, crash_while_sending
from tests.worker.crashing import MORE_THAN_POINTS, Crashes
from tests.worker.journeys import World
from tests.worker.levers import endpoint_of, settings
from tests.world import Person, Sandbox

GOES_ON_DIFFERENTLY = ["upload", "create"]
"""After a crash these look for what is there, instead of doing the same again."""


@pytest.fixture(scope="module")
def crashes(server: str) -> Iterator[Crashes]:
    with Crashes.ready() as crashes:
        yield crashes


@pytest.fixture
def world(alice: Person, sandbox: Sandbox, receiver: Receiver, crashes: Crashes) -> Iterator[World]:
    endpoint_of(alice, receiver.url, *[type for type in EventType if type.startswith("fine_tuning.job.")])
    with settings(TUNERY_PROVIDER__PLACES='{"*": 3}', TUNERY_MAX_STEP_FAILURES=MORE_THAN_POINTS):
        yield World(alice, sandbox, receiver, crashes)


@pytest.mark.parametrize("what", [what for what in BOUNDARIES if what not in GOES_ON_DIFFERENTLY])
def test_a_job_ends_as_it_would_have_though_workers_are_killed_at_each_point_of_a_step(world: World, what: str) -> None:
    check_webhooks(world, [crash_and_go_on(world, what, *BOUNDARIES[what])])


@pytest.mark.parametrize("what", GOES_ON_DIFFERENTLY)
def test_a_job_ends_as_it_would_have_at_whatever_point_its_worker_is_killed(world: World, what: str) -> None:
    check_webhooks(world, [crash_and_go_on(world, what, point) for point in BOUNDARIES[what]])


def test_a_large_file_arrives_once_though_workers_are_killed_all_along(world: World) -> None:
    crash_while_sending(world)
