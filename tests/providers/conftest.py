"""The conformance suite: what the worker expects of every provider, over real HTTP against the provider's stand-in.

The worker acts on what a provider says: it creates a job again if the list does not show it, cancels one that nobody
knows, and records events that came. So each rule that `worker.providers.protocol.Provider` states is a test here, and
runs for each provider in `stand_ins.STAND_INS`.

To add a provider:

1. Write its client and enter it in `worker.providers.registry.PROVIDERS`. CONTRIBUTING.md has the steps, and those for
   a provider that speaks OpenAI's wire, which needs no stand-in of its own.
2. Give it a stand-in: a server in `sandbox/` that speaks its wire, with the same controls under `/sandbox/` (arm a
   fault, move a job, delay the list). The suite needs no other way to make trouble.
3. Add a line to `STAND_INS`: its dialect; for each method of `Provider` the HTTP call that a fault is armed for; and
   how a page, a listed object and an odd job look on its wire.
4. Run `python -m pytest tests/providers`. A method that the provider does not have goes to `lacks`, with the reason:
   its tests are then skipped and show that reason. Nothing else may be skipped.

The files: `test_create` (create, look before creating again), `test_jobs` (statuses, cancel, pause, resume),
`test_events` (events, checkpoints), `test_lists` (pages), `test_odd_answers`, `test_errors`, `test_files` and
`test_models`.
What only one provider does is tested beside them, in a file with its name.
"""

from collections.abc import Iterator

import pytest

from tests.providers.stand_ins import STAND_INS, Far, StandIn
from tests.world import Sandbox


@pytest.fixture(params=STAND_INS, ids=lambda stand_in: stand_in.name)
def stand_in(request: pytest.FixtureRequest) -> StandIn:
    """The provider that the test runs for."""
    found: StandIn = request.param
    return found


@pytest.fixture
def far(server: str, sandbox: Sandbox, stand_in: StandIn) -> Iterator[Far]:
    """A client of the provider, as the worker has it, and the controls of its stand-in."""
    far = Far(stand_in, sandbox)
    yield far
    sandbox.disarm()
