"""…/model_permissions: which models a project may train and use."""

from typing import Literal

import pytest
from openai import APIStatusError, OpenAI

from shared.database import transaction
from shared.projects import service as projects
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts
from tests.world import Person, Sandbox

MINI, SNAPSHOT, OTHER = "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4.1-mini-2025-04-14"
REFUSED = (403, "model_not_found", "model")


def permit(admin: OpenAI, person: Person, mode: Literal["allow_list", "deny_list"], *ids: str) -> None:
    """Set the rule and give the person a new key, since the api caches a key's caller for a second."""
    admin.admin.organization.projects.model_permissions.update(person.project_id, mode=mode, model_ids=list(ids))
    with transaction() as session:
        person.openai.api_key = projects.create_api_key(session, person.project_id, "new")[1]


def ask(person: Person, model: str) -> str:
    return person.openai.chat.completions.create(model=model, messages=[{"role": "user", "content": "?"}]).model


def refusal(person: Person, model: str) -> list[object]:
    """Return the errors of a job and of a chat with this model."""
    file_id = person.upload()
    with pytest.raises(APIStatusError) as of_job:
        person.create_job(model=model, training_file=file_id)
    with pytest.raises(APIStatusError) as of_chat:
        ask(person, model)
    return [facts(of_job.value), facts(of_chat.value)]


@pytest.mark.parametrize("listed", [MINI, SNAPSHOT])
@pytest.mark.parametrize("named", [MINI, SNAPSHOT])
def test_a_denied_model_cannot_be_trained_or_used_under_any_of_its_names(
    admin: OpenAI, alice: Person, listed: str, named: str
) -> None:
    meet_the_base_models(alice)
    permit(admin, alice, "deny_list", listed)
    assert refusal(alice, named) == [REFUSED, REFUSED]
    assert alice.create_job(model=OTHER)


def test_only_allowed_models_can_be_trained_and_used(admin: OpenAI, alice: Person, bob: Person) -> None:
    meet_the_base_models(alice)
    permit(admin, alice, "allow_list", MINI)
    assert alice.create_job(model=SNAPSHOT)
    assert ask(alice, MINI)
    assert refusal(alice, OTHER) == [REFUSED, REFUSED]
    assert bob.create_job(model=OTHER)


def test_a_tuned_model_follows_the_rule_of_its_base_model(admin: OpenAI, alice: Person, sandbox: Sandbox) -> None:
    tuned = model_of(train(alice, sandbox))
    permit(admin, alice, "deny_list", MINI)
    assert refusal(alice, tuned) == [REFUSED, REFUSED]
    permit(admin, alice, "allow_list", MINI)
    assert ask(alice, tuned)


def test_a_grader_follows_the_rule_too(admin: OpenAI, alice: Person) -> None:
    judge = {"type": "score_model", "name": "judge", "model": OTHER, "input": [{"role": "user", "content": "{{item}}"}]}
    multi = {"type": "multi", "name": "both", "graders": {"judge": judge}, "calculate_output": "judge"}
    permit(admin, alice, "deny_list", OTHER)
    for grader in (judge, multi):
        with pytest.raises(APIStatusError) as refused:
            alice.create_job(model=MINI, method={"type": "reinforcement", "reinforcement": {"grader": grader}})
        assert facts(refused.value) == (403, "model_not_found", "method.reinforcement.grader")


def test_a_rule_can_be_read_and_deleted(admin: OpenAI, alice: Person) -> None:
    permissions = admin.admin.organization.projects.model_permissions
    before = permissions.retrieve(alice.project_id)
    assert (before.mode, before.api_model_ids) == ("deny_list", [])
    permit(admin, alice, "allow_list", OTHER, MINI, MINI)
    now = permissions.retrieve(alice.project_id)
    assert (now.mode, now.api_model_ids) == ("allow_list", [OTHER, MINI])
    assert permissions.delete(alice.project_id).deleted
    assert permissions.retrieve(alice.project_id) == before


def test_an_empty_allow_list_allows_nothing(admin: OpenAI, alice: Person) -> None:
    permit(admin, alice, "allow_list")
    with pytest.raises(APIStatusError) as refused:
        alice.create_job()
    assert facts(refused.value) == REFUSED
    assert f"Project `{alice.project_id}` does not have access to model `{MINI}`" in refused.value.message
