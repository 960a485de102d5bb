"""Deployments: created once, found again, ready when they answer, and gone when they are deleted.

Runs for each provider whose capabilities say `needs_deployment`, and for one of tests. `/sandbox/deployments` moves
what the stand-in has deployed, by our id.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.providers.capabilities import CAPABILITIES
from shared.providers.dialects import Dialect
from tests.providers.deploying import DEPLOYING, OF_TESTS, OTHERS, OURS, Deploying, client_of_tests
from tests.providers.stand_ins import StandIn, logins_at
from tests.providers.test_create import UNKNOWN_ENDS
from tests.servers import until
from tests.worker.support import settings
from tests.world import Sandbox
from worker.providers import registry
from worker.providers.deploying import DeployingProvider, ProviderDeployment, ProviderState
from worker.providers.errors import ProviderError


@pytest.fixture(params=DEPLOYING, ids=lambda stand_in: stand_in.name)
def far(
    request: pytest.FixtureRequest,
    server: str,
    speaking: Callable[[str], Sandbox],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deploying]:
    stand_in: StandIn = request.param
    sandbox = speaking(stand_in.wire)
    sandbox.reset()
    if stand_in is OF_TESTS:
        monkeypatch.setattr("tests.providers.stand_ins.client", client_of_tests)
    with settings(**logins_at(sandbox)):
        yield Deploying(stand_in, sandbox)
    sandbox.disarm()


def test_a_new_deployment_is_starting_and_is_ours(far: Deploying) -> None:
    made = far.create()
    assert (made.deployment_id, made.state) == (OURS, ProviderState.STARTING)
    assert far.look(made).deployment_id == OURS


def test_a_deployment_is_found_by_our_id_and_no_other(far: Deploying) -> None:
    made = far.create()
    far.create(OTHERS)
    assert far.found() == [made.id]
    assert far.found("dep_01m8cccccccccccccccccccccc") == []


@pytest.mark.parametrize("end", UNKNOWN_ENDS, ids=str)
def test_a_deployment_whose_create_had_no_usable_answer_is_found_once(far: Deploying, end: dict[str, Any]) -> None:
    far.fault("create_deployment", **end)
    with pytest.raises(ProviderError) as failure:
        far.create()
    assert failure.value.effect_unknown
    assert len(far.found()) == 1


@pytest.mark.parametrize("end", [{"drop": "before"}, {"status": 500}], ids=str)
def test_a_create_that_had_no_effect_is_found_to_have_none(far: Deploying, end: dict[str, Any]) -> None:
    far.fault("create_deployment", **end)
    with pytest.raises(ProviderError):
        far.create()
    assert far.found() == []


def test_no_create_is_repeated_by_itself(far: Deploying) -> None:
    far.fault("create_deployment", drop="after", times=3)
    with pytest.raises(ProviderError):
        far.create()
    assert len(far.found()) == 1


def test_a_deployment_that_the_list_shows_late_is_found_when_it_does(far: Deploying) -> None:
    """Why the worker waits for `create_grace` before it looks. A provider whose ids are ours need not list."""
    far.sandbox.http.post("/sandbox/list_lag", json={"seconds": 2.5}).raise_for_status()
    made = far.create()
    assert until(far.found) == [made.id]


def test_one_that_is_ready_has_a_name_that_answers_chats(far: Deploying) -> None:
    far.ask(far.ready().chat_model)


def test_ready_is_told_before_it_is(far: Deploying) -> None:
    """Why the worker asks the model for an answer before it believes."""
    ready = far.ready()
    far.move(answers=False)
    assert far.look(ready).state is ProviderState.READY
    with pytest.raises(ProviderError) as refusal:
        far.ask(ready.chat_model)
    assert refusal.value.message
    far.move(answers=True)
    far.ask(ready.chat_model)


def test_looking_makes_nothing_twice(far: Deploying) -> None:
    ready = far.ready()
    for _ in range(3):
        far.look(ready)
    assert far.found() == [ready.id]


def test_a_look_without_a_usable_answer_can_be_repeated(far: Deploying) -> None:
    made = far.create()
    far.fault("advance_deployment", drop="after")
    with pytest.raises(ProviderError) as failure:
        far.look(made)
    assert failure.value.retryable
    far.look(made)
    assert far.found() == [made.id]


def test_one_that_failed_says_why(far: Deploying) -> None:
    made = far.create()
    far.look(made)
    far.move(status="failed", error="No machine is free in this region.")
    seen = far.look(made)
    assert seen.state is ProviderState.FAILED
    assert seen.error is not None
    assert "No machine is free" in seen.error


def test_a_word_that_is_not_known_is_no_state(far: Deploying) -> None:
    made = far.create()
    far.move(word="SOMETHING_NEW")
    seen = far.look(made)
    assert (seen.provider_status, seen.state) == ("SOMETHING_NEW", None)


def test_a_deleted_one_is_gone_and_can_be_deleted_again(far: Deploying) -> None:
    ready = far.ready()
    far.deployer.delete_deployment(ready.id)
    assert _is_gone(far, ready)
    assert _status_of_delete(far, ready) in {None, 404}


def _status_of_delete(far: Deploying, deployment: ProviderDeployment) -> int | None:
    try:
        far.deployer.delete_deployment(deployment.id)
    except ProviderError as error:
        return error.status
    return None


def test_one_that_still_starts_can_be_deleted(far: Deploying) -> None:
    made = far.create()
    far.deployer.delete_deployment(made.id)
    assert _is_gone(far, made)


def test_one_that_somebody_else_has_deleted_is_a_404(far: Deploying) -> None:
    made = far.create()
    far.move(gone=True)
    assert _is_gone(far, made)


def _is_gone(far: Deploying, deployment: ProviderDeployment) -> bool:
    try:
        return far.look(deployment).state is ProviderState.STOPPED
    except ProviderError as error:
        return error.status == 404


def test_the_list_has_all_with_their_marks(far: Deploying) -> None:
    made, other = far.create(), far.create(OTHERS)
    listed = {each.id: each.deployment_id for each in far.deployer.list_deployments()}
    assert listed == {made.id: OURS, other.id: OTHERS}


def test_an_answer_that_is_no_list_does_not_pass_for_an_empty_one(far: Deploying) -> None:
    """A running deployment that nobody sees costs money."""
    for body in far.stand_in.odd_deployments:
        for method in ("list_deployments", "find_deployments"):
            far.sandbox.disarm()
            far.answer(method, body)
            with pytest.raises(ProviderError):
                far.deployer.list_deployments() if method == "list_deployments" else far.found()


@pytest.mark.parametrize("id", ["", ".", "..", "../models"])
def test_no_id_leads_a_call_to_another_path(far: Deploying, id: str) -> None:
    made = far.create()
    with pytest.raises(ProviderError):
        far.deployer.delete_deployment(id)
    assert far.found() == [made.id]


def test_the_probe_takes_no_page_of_a_proxy_for_an_answer(far: Deploying) -> None:
    ready = far.ready()
    far.sandbox.arm("POST", "/**/chat/completions", status=200, body="<html>")
    with pytest.raises(ProviderError):
        far.ask(ready.chat_model)


def test_the_registry_has_deploying_clients_where_deployments_are_needed() -> None:
    for dialect, able in CAPABILITIES.items():
        client = registry.PROVIDERS[dialect].client
        missing = [name for name in vars(DeployingProvider) if not name.startswith("_") and not hasattr(client, name)]
        is_azure = dialect is Dialect.AZURE  # whose accounts deploy if they have an application
        assert bool(missing) != (able.needs_deployment or is_azure)
