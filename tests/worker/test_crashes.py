"""A worker that is killed between any two lines that matter, and what becomes of its job."""

from collections.abc import Iterator

import pytest

from shared.webhooks.event_types import EventType
from tests.servers import Receiver
from tests.worker.boundaries import BOUNDARIES, World, check_webhooks, crash_and_go_on
from tests.worker.crashing import Crashes
from tests.worker.levers import endpoint_of, settings
from tests.world import Person, Sandbox


@pytest.fixture(scope="module")
def crashes(server: str) -> Iterator[Crashes]:
    with Crashes.ready() as crashes:
        yield crashes


@pytest.mark.parametrize("what", BOUNDARIES)
def test_a_job_whose_worker_is_killed_ends_as_it_would_have(
    alice: Person, sandbox: Sandbox, receiver: Receiver, crashes: Crashes, what: str
) -> None:
    endpoint_of(alice, receiver.url, *[type for type in EventType if type.startswith("fine_tuning.job.")])
    world = World(alice, sandbox, receiver, crashes)
    with settings(TUNERY_PROVIDER__PLACES='{"*": 3}'):
        job_ids = [crash_and_go_on(world, what, point) for point in BOUNDARIES[what]]
        check_webhooks(world, job_ids)
