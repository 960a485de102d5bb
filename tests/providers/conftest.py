"""The conformance suite: what the worker expects of every provider, over real HTTP against the provider's stand-in.

The worker acts on what a provider says: it creates a job again if the list does not show it, cancels one that nobody
knows, and records events that came. So each rule that `worker.providers.protocol.Provider` states is a test here, and
runs for each provider in `stand_ins.STAND_INS`.

To add a provider:

1. Write its client and enter it in `worker.providers.registry.PROVIDERS`. CONTRIBUTING.md has the steps, and those for
   a provider that speaks OpenAI's wire, which needs no stand-in of its own.
2. Give it a stand-in: a folder in `sandbox/wires/` with the routes of its wire on top of the sandbox's engine, entered
   in `sandbox.wires.registry.WIRES`, so that the controls under `/sandbox/` are there too (arm a fault, move a job,
   delay the list). The suite needs no other way to make trouble.
3. Add a line to `STAND_INS`: its dialect; for each method of `Provider` the HTTP call that a fault is armed for; and
   how a page, a listed object and an odd job look on its wire.
4. Run `python -m pytest tests/providers`. A method that the provider does not have goes to `lacks`, with the reason:
   its tests are then skipped and show that reason. Nothing else may be skipped.

The files: `test_create` (create, look before creating again), `test_jobs` (statuses, cancel, pause, resume),
`test_events` (events, checkpoints), `test_lists` (pages), `test_odd_answers`, `test_errors`, `test_files` and
`test_models`.
What only one provider does is tested beside them, in a file with its name.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.providers.nebius import NEBIUS, Nebius
from tests.providers.stand_ins import STAND_INS, Far, StandIn, logins_at
from tests.worker.support import settings
from tests.world import Sandbox, sandbox_of


@pytest.fixture(params=STAND_INS, ids=lambda stand_in: stand_in.name)
def stand_in(request: pytest.FixtureRequest) -> StandIn:
    """The provider that the test runs for."""
    found: StandIn = request.param
    return found


@pytest.fixture(scope="session")
def speaking() -> Iterator[Callable[[str], Sandbox]]:
    """The sandbox that speaks a wire, started at its first use."""
    with ExitStack() as started:
        yield cache(lambda wire: started.enter_context(sandbox_of(wire)))


@pytest.fixture
def far(server: str, speaking: Callable[[str], Sandbox], stand_in: StandIn) -> Iterator[Far]:
    """A client of the provider, as the worker has it, and the controls of its stand-in, which holds nothing yet."""
    sandbox = speaking(stand_in.wire)
    sandbox.reset()
    if stand_in.switches:
        sandbox.http.post(f"/sandbox/{stand_in.wire}", json=stand_in.switches).raise_for_status()
    with settings(**logins_at(sandbox)):
        yield Far(stand_in, sandbox)
    sandbox.disarm()


@pytest.fixture
def nebius(server: str, speaking: Callable[[str], Sandbox]) -> Iterator[Nebius]:
    sandbox = speaking("nebius")
    sandbox.reset()
    yield Nebius(NEBIUS, sandbox)
    sandbox.disarm()
