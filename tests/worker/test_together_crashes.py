"""A worker that is killed at each boundary of its calls to Together: nothing is lost, and nothing is there twice."""

from collections.abc import Iterator

import pytest

from shared.webhooks.event_types import EventType
from tests.servers import Receiver
from tests.worker.crashes import MOST_CRASHES, Crashes
from tests.worker.kill_points import check_webhooks, kill_and_go_on
from tests.worker.reach_steps import World
from tests.worker.support import endpoint_of, settings
from tests.worker.together import KILLED, TogetherWorld, provided_by
from tests.world import Person, Sandbox, sandbox_of


@pytest.fixture(scope="module")
def together() -> Iterator[Sandbox]:
    with sandbox_of("together") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def crashes(server: str, together: Sandbox) -> Iterator[Crashes]:
    with provided_by(together), Crashes.ready() as crashes:
        yield crashes


@pytest.fixture
def world(alice: Person, together: Sandbox, receiver: Receiver, crashes: Crashes) -> Iterator[World]:
    together.reset()
    endpoint_of(alice, receiver.url, *[type for type in EventType if type.startswith("fine_tuning.job.")])
    provider = {"TUNERY_PROVIDER__BASE_URL": f"{together.address}/v1", "TUNERY_PROVIDER__DIALECT": "together"}
    with settings(**provider, TUNERY_PROVIDER__SLOTS='{"*": 3}', TUNERY_MAX_STEP_FAILURES=MOST_CRASHES):
        yield TogetherWorld(alice, together, receiver, crashes)


@pytest.mark.parametrize("what", KILLED)
def test_a_job_ends_as_it_would_have_at_whatever_point_its_worker_is_killed(world: World, what: str) -> None:
    for point in KILLED[what]:
        check_webhooks(world, [kill_and_go_on(world, what, point)])
