"""The steps of a deployment: created once, ready when it answers, stopped for good, whatever the provider does."""

from datetime import timedelta
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.deployments.models import Deployment
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.api.accounts import admin as admin
from tests.deployed import World, pass_grace
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.servers import Receiver
from tests.worker.support import change, endpoint_of, settings
from tests.world import row, step, work

IN_DOUBT: list[dict[str, Any]] = [
    {"drop": "after"},
    {"status": 500, "after_effect": True},
    {"status": 409, "after_effect": True},
    {"status": 200, "after_effect": True, "body": "<html>"},
]


def status(id: str) -> str:
    return str(row(Deployment, id).status)


def test_a_deployment_starts_is_ready_and_is_stopped(world: World) -> None:
    id = world.asked()
    assert world.shown(id)["status"] == "requested"
    step(Deployment, id)
    assert world.shown(id)["status"] == "starting"
    step(Deployment, id)
    assert world.shown(id)["status"] == "starting"
    world.move(id, status="ready")
    step(Deployment, id)
    assert world.shown(id)["status"] == "ready"
    assert world.person.http.delete(f"/deployments/{id}").json()["status"] == "stopping"
    step(Deployment, id)
    shown = world.shown(id)
    assert (shown["status"], shown["reason"]["code"], world.running()) == ("stopped", "deleted", [])
    assert row(Deployment, id).due_at is None


def test_ready_is_believed_only_when_the_model_answers(world: World) -> None:
    id = world.starting()
    world.move(id, status="ready", answers=False)
    for _ in range(7):
        step(Deployment, id)
        assert status(id) == "starting"
    world.move(id, answers=True)
    step(Deployment, id)
    assert status(id) == "ready"


def test_a_model_that_refuses_our_question_all_the_time_is_believed_in_the_end(world: World) -> None:
    """It may not take the parameters of the question; others get answers."""
    id = world.starting()
    world.move(id, status="ready")
    world.sandbox.arm("POST", "/v1/chat/completions", status=400, times=20)
    for _ in range(4):
        step(Deployment, id)
    assert status(id) == "starting"
    step(Deployment, id)
    assert status(id) == "ready"


@pytest.mark.parametrize("end", IN_DOUBT, ids=str)
def test_a_create_without_a_usable_answer_is_searched_for_and_not_repeated(world: World, end: dict[str, Any]) -> None:
    id = world.asked()
    world.sandbox.arm("POST", "/v1/deployments", **end)
    step(Deployment, id)
    step(Deployment, id)
    assert (status(id), len(world.running())) == ("requested", 1), "before the grace is over nothing is done"
    pass_grace(id)
    step(Deployment, id)
    assert (status(id), [each["id"] for each in world.running()]) == ("starting", [_theirs(id)])


def test_a_create_that_had_no_effect_is_repeated_after_the_search(world: World) -> None:
    id = world.asked()
    world.sandbox.arm("POST", "/v1/deployments", drop="before")
    step(Deployment, id)
    pass_grace(id)
    step(Deployment, id)
    assert world.running() == []
    step(Deployment, id)
    assert (status(id), len(world.running())) == ("starting", 1)


def test_of_several_with_our_id_the_oldest_is_kept_and_the_others_are_stopped(world: World) -> None:
    id = world.asked()
    for _ in range(3):
        world.sandbox.http.post("/v1/deployments", json={"name": id, "model": world.model}).raise_for_status()
    oldest = world.running()[0]["id"]
    change(Deployment, id, create_pending_at=utc_now())
    pass_grace(id)
    step(Deployment, id)
    assert [each["id"] for each in world.running()] == [oldest] == [_theirs(id)]


def test_a_refused_create_fails_with_the_providers_words(world: World) -> None:
    id = world.asked()
    error = '{"error": {"message": "Your account may not deploy.", "code": "no_deployments"}}'
    world.sandbox.arm("POST", "/v1/deployments", status=403, body=error, headers={"content-type": "application/json"})
    step(Deployment, id)
    shown = world.shown(id)
    assert (shown["status"], shown["reason"]["code"]) == ("failed", "no_deployments")
    assert "may not deploy" in shown["reason"]["message"]


def test_one_that_fails_at_the_provider_is_stopped_there_and_has_failed(world: World) -> None:
    id = world.starting()
    world.move(id, status="failed", error="No machine is free.")
    step(Deployment, id)
    assert status(id) == "stopping"
    step(Deployment, id)
    assert (status(id), world.shown(id)["reason"]["message"], world.running()) == ("failed", "No machine is free.", [])


def test_one_that_is_not_ready_in_time_fails(world: World) -> None:
    id = world.starting()
    change(Deployment, id, created_at=utc_now() - get_settings().deployments.start_timeout)
    step(Deployment, id)
    assert (status(id), world.shown(id)["reason"]["code"], world.running()) == ("failed", "deployment_timeout", [])


def test_one_that_somebody_else_has_deleted_is_stopped_after_some_looks(world: World) -> None:
    id = world.ready()
    world.move(id, gone=True)
    for _ in range(5):
        step(Deployment, id)
        assert status(id) == "ready"
    step(Deployment, id)
    step(Deployment, id)
    assert (status(id), world.shown(id)["reason"]["code"]) == ("stopped", "deployment_missing")


def test_a_word_that_is_not_known_changes_nothing(world: World) -> None:
    id = world.ready()
    world.move(id, word="UPDATING")
    step(Deployment, id)
    assert (status(id), world.shown(id)["provider_status"]) == ("ready", "UPDATING")


@pytest.mark.parametrize("end", [{"drop": "before"}, {"drop": "after"}, {"status": 500}, {"status": 403}], ids=str)
def test_a_stop_is_repeated_until_nothing_runs(world: World, end: dict[str, Any]) -> None:
    id = world.ready()
    world.person.http.delete(f"/deployments/{id}")
    world.sandbox.arm("DELETE", "/v1/deployments/*", **end)
    step(Deployment, id)
    assert status(id) == "stopping"
    step(Deployment, id)
    assert (status(id), world.running()) == ("stopped", [])


def test_one_that_is_stopped_while_its_create_is_in_doubt_is_found_and_stopped(world: World) -> None:
    id = world.asked()
    world.sandbox.arm("POST", "/v1/deployments", drop="after")
    step(Deployment, id)
    assert world.person.http.delete(f"/deployments/{id}").json()["status"] == "stopping"
    pass_grace(id)
    step(Deployment, id)
    step(Deployment, id)
    assert (status(id), world.running()) == ("stopped", [])


def test_one_that_was_never_sent_is_stopped_at_once(world: World) -> None:
    id = world.asked()
    assert world.person.http.delete(f"/deployments/{id}").json()["status"] == "stopped"
    work()
    assert (status(id), world.running()) == ("stopped", [])


def test_one_without_chats_is_stopped(world: World) -> None:
    id = world.ready(idle_timeout=600)
    change(Deployment, id, ready_at=utc_now() - timedelta(hours=1), last_chat_at=utc_now() - timedelta(seconds=590))
    step(Deployment, id)
    assert status(id) == "ready"
    change(Deployment, id, last_chat_at=utc_now() - timedelta(seconds=601))
    step(Deployment, id)
    assert (status(id), world.shown(id)["reason"]["code"], world.running()) == ("stopped", "idle", [])


def test_one_that_never_idles_runs_on(world: World) -> None:
    id = world.ready(idle_timeout=0)
    change(Deployment, id, ready_at=utc_now() - timedelta(days=9))
    step(Deployment, id)
    assert status(id) == "ready"


def test_what_runs_for_a_deployment_that_has_ended_is_stopped_with_the_accounts_strays(world: World) -> None:
    """As after a create that reached the provider when it had been searched for already."""
    ended, ready = world.asked(), None
    world.person.http.delete(f"/deployments/{ended}")
    ready = world.ready()
    for name in (ended, ready, "dep_of-another-installation"):
        world.sandbox.http.post("/v1/deployments", json={"name": name, "model": world.model}).raise_for_status()
    assert len(world.running()) == 4
    step(Credential, world.credential_id)
    left = {each["name"] for each in world.running()}
    assert (left, len(world.running())) == ({ready, "dep_of-another-installation"}, 2)
    assert _theirs(ready) in {each["id"] for each in world.running()}


def test_a_deployment_whose_steps_keep_raising_is_stopped_and_fails(world: World) -> None:
    id = world.ready()
    change(Deployment, id, failures=get_settings().max_step_failures)
    step(Deployment, id)
    assert status(id) == "stopping"
    step(Deployment, id)
    assert (status(id), world.shown(id)["reason"]["code"], world.running()) == ("failed", "internal_error", [])


def test_the_project_is_told_once_of_each_end_and_that_it_is_ready(world: World, receiver: Receiver) -> None:
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["127.0.0.0/8"]'):
        endpoint_of(world.person, receiver.url, "deployment.ready", "deployment.stopped", "deployment.failed")
        id = world.ready()
        world.move(id, status="starting")
        step(Deployment, id)
        world.move(id, status="ready")
        step(Deployment, id)
        world.person.http.delete(f"/deployments/{id}")
        work(3)
    told = [(event["type"], event["data"]["id"], event["data"]["status"]) for event in receiver.events]
    assert told == [("deployment.ready", id, "ready"), ("deployment.stopped", id, "stopped")]


def _theirs(id: str) -> str:
    theirs: str = row(Deployment, id).provider_deployment_id
    return theirs
