"""The refresh of an account: its base models, and how many jobs it takes at once."""

from datetime import timedelta
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.projects.models import Credential
from tests.worker.support import change, ids
from tests.world import Person, Sandbox, row, step
from worker.accounts.refresh import REFRESH_EVERY, chosen
from worker.providers.openai.model_list import base_models
from worker.providers.protocol import BaseModel


def listed(*names: str) -> list[BaseModel]:
    return base_models([{"id": name, "object": "model"} for name in names])


def credential(person: Person) -> str:
    """The account that the settings name, known since somebody asked for it."""
    assert person.openai.models.list().object == "list"
    (credential_id,) = ids(Credential)
    return credential_id


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        (["gpt-4o-mini", "gpt-4o-mini-tts", "gpt-4o-audio-preview", "gpt-5", "o4-mini"], ["gpt-4o-mini", "o4-mini"]),
        (["gpt-3.5-turbo", "gpt-3.5-turbo-instruct", "dall-e-3"], ["gpt-3.5-turbo"]),
        (["gpt-4.1-nano", "ft:gpt-4.1-nano:acme::x"], ["gpt-4.1-nano"]),
        (["meta-llama/Llama-3.3-70B", "ft:llama:acme::x"], ["meta-llama/Llama-3.3-70B"]),
        ([], []),
    ],
)
def test_only_models_that_can_be_tuned_are_kept(server: str, offered: list[str], kept: list[str]) -> None:
    assert [model.id for model in chosen(listed(*offered), ())] == kept


def test_the_models_that_the_operator_names_win(server: str) -> None:
    offered = listed("gpt-4o", "gpt-5", "ft:gpt-5:acme::x")
    assert [model.id for model in chosen(offered, ["gpt-5", "gpt-6"])] == ["gpt-5"]


def test_an_operator_may_name_a_model_by_its_alias_or_by_its_snapshot() -> None:
    snapshot, alias = listed("gpt-4o-mini-2024-07-18"), listed("gpt-4o-mini")
    assert chosen(snapshot, ["gpt-4o-mini"]) == snapshot
    assert chosen(alias, ["gpt-4o-mini-2024-07-18"]) == alias
    assert chosen(listed("gpt-4o-2024-08-06"), ["gpt-4o-mini"]) == []


def test_the_models_of_the_provider_are_listed_and_refreshed_later(alice: Person, sandbox: Sandbox) -> None:
    credential_id = credential(alice)
    step(Credential, credential_id)
    models = {model.id: model for model in alice.openai.models.list()}
    real = sandbox.openai.models.retrieve("gpt-4.1-mini")
    assert models["gpt-4.1-mini"].to_dict() == {**real.to_dict(), "providers": ["openai"], "last_used_at": None}
    assert REFRESH_EVERY - timedelta(minutes=1) < row(Credential, credential_id).due_at - utc_now() <= REFRESH_EVERY


FAULTS: list[dict[str, Any]] = [
    {"status": 401},
    {"status": 403},
    {"status": 500},
    {"drop": "before"},
    {"status": 200, "body": "<html>"},
    {"status": 200, "body": {}},
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_known_models_are_kept_while_the_provider_gives_no_answer(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    credential_id = credential(alice)
    step(Credential, credential_id)
    before = row(Credential, credential_id).base_models
    sandbox.arm("GET", "/v1/models", **fault)
    step(Credential, credential_id)
    assert (row(Credential, credential_id).base_models, row(Credential, credential_id).failures) == (before, 0)
    assert before


def test_the_slots_that_the_provider_says_are_kept(alice: Person, sandbox: Sandbox) -> None:
    credential_id = credential(alice)
    limits = {"gpt-4o-2024-08-06": {"max_concurrent_jobs": 5}, "gpt-4o": {"max_concurrent_jobs": 2}, "odd": 7}
    sandbox.arm("GET", "/v1/fine_tuning/model_limits", status=200, body=limits)
    step(Credential, credential_id)
    assert row(Credential, credential_id).job_slots == {"gpt-4o": 2}


@pytest.mark.parametrize(
    ("fault", "known"), [({"status": 404}, {}), ({"status": 200, "body": [1]}, {}), ({"status": 503}, {"gpt-4o": 2})]
)
def test_a_provider_that_does_not_say_its_slots_still_has_models(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any], known: dict[str, int]
) -> None:
    credential_id = credential(alice)
    change(Credential, credential_id, job_slots={"gpt-4o": 2})
    sandbox.arm("GET", "/v1/fine_tuning/model_limits", **fault)
    step(Credential, credential_id)
    after = row(Credential, credential_id)
    assert (after.job_slots, bool(after.base_models), after.retries) == (known, True, 0)


def test_a_list_without_times_and_owners_is_enough(alice: Person, sandbox: Sandbox) -> None:
    credential_id = credential(alice)
    sandbox.arm("GET", "/v1/models", status=200, body={"object": "list", "data": [{"id": "llama"}]})
    step(Credential, credential_id)
    assert [model.id for model in alice.openai.models.list()] == ["llama"]
