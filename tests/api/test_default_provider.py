"""Which of several accounts with the same model is asked: at the request's `provider`, else the project's default."""

import json
from typing import Any

import httpx2
import pytest

from shared.projects.models import Credential
from tests.api.accounts import CHAT, admin, give, path, row_of
from tests.api.training import train
from tests.servers import Receiver
from tests.worker.support import change
from tests.world import Person, Sandbox

__all__ = ["admin"]

COMPLETION = {"model": "gpt-4o-mini", "prompt": "Once"}
RESPONSE = {"model": "gpt-4o-mini", "input": "Hi"}


@pytest.fixture
def two(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> tuple[str, str]:
    """Alice's accounts at `older`, and at `newer`, whose key is refused. Both have the same models."""
    older, newer = give(admin, alice, sandbox, provider="older"), give(admin, alice, sandbox, provider="newer")
    admin.post(path(alice, newer), json={"api_key": "sk-wrong-of-alices-own"}).raise_for_status()
    return older, newer


def prefer(admin: httpx2.Client, person: Person, name: str) -> Any:
    return admin.post(f"/organization/projects/{person.project_id}", json={"default_provider": name})


def asked(person: Person, **values: Any) -> int:
    """200 if the older account was asked, 502 if the newer one was."""
    return person.http.post("/chat/completions", json={**CHAT, **values}).status_code


def test_a_question_goes_to_the_provider_that_it_names(alice: Person, two: tuple[str, str]) -> None:
    assert [asked(alice), asked(alice, provider="older"), asked(alice, provider="newer")] == [502, 200, 502]
    assert asked(alice, provider=None) == 502


def test_without_one_it_goes_to_the_projects_default(admin: httpx2.Client, alice: Person, two: tuple[str, str]) -> None:
    assert prefer(admin, alice, "older").json()["default_provider"] == "older"
    assert [asked(alice), asked(alice, provider="newer")] == [200, 502]
    assert prefer(admin, alice, "").json()["default_provider"] is None
    assert asked(alice) == 502


def test_a_job_goes_to_the_projects_default_too(admin: httpx2.Client, alice: Person, two: tuple[str, str]) -> None:
    prefer(admin, alice, "older")
    assert row_of(alice, alice.create_job())[0] == two[0]
    assert alice.openai.models.retrieve("gpt-4o-mini").to_dict()["providers"] == ["older", "newer"]


def test_a_default_that_has_not_the_model_is_passed_over(
    admin: httpx2.Client, alice: Person, two: tuple[str, str]
) -> None:
    prefer(admin, alice, "newer")
    change(Credential, two[1], base_models=[{"id": "llama", "created": 0, "owned_by": "", "shutdown_date": None}])
    assert asked(alice) == 200


def test_the_default_must_be_one_of_the_projects_providers(
    admin: httpx2.Client, alice: Person, bob: Person, two: tuple[str, str]
) -> None:
    error = prefer(admin, alice, "together").json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "default_provider")
    assert error["message"] == "The project has no account at together, only at newer, older"
    assert prefer(admin, bob, "older").status_code == 400
    assert prefer(admin, bob, "openai").json()["default_provider"] == "openai"


def test_a_default_whose_account_is_deleted_means_nothing(
    admin: httpx2.Client, alice: Person, two: tuple[str, str]
) -> None:
    prefer(admin, alice, "newer")
    admin.delete(path(alice, two[1])).raise_for_status()
    assert asked(alice) == 200


@pytest.mark.parametrize("provider", ["together", 5, ["older"], "x" * 1000])
def test_a_provider_that_the_project_has_not_is_refused(alice: Person, two: tuple[str, str], provider: Any) -> None:
    answer = alice.http.post("/chat/completions", json={**CHAT, "provider": provider})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "provider")


def test_a_tuned_model_is_asked_where_it_was_made(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    give(admin, alice, sandbox, provider="older")
    model = train(alice, sandbox).fine_tuned_model
    give(admin, alice, sandbox, provider="newer")
    assert [asked(alice, model=model), asked(alice, model=model, provider="older")] == [200, 200]
    assert asked(alice, model=model, provider="newer") == 404


@pytest.mark.parametrize(("endpoint", "body"), [("completions", COMPLETION), ("responses", RESPONSE)])
def test_the_provider_does_not_get_to_see_it(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox, receiver: Receiver, endpoint: str, body: dict[str, Any]
) -> None:
    give(admin, alice, sandbox, provider="older")
    give(admin, alice, sandbox, provider="mute", base_url=receiver.url, meet=False)
    alice.http.post(f"/{endpoint}", json={**body, "provider": "mute"}).raise_for_status()
    [(_, sent)] = receiver.received
    assert {**body, **({"store": False} if endpoint == "responses" else {})} == json.loads(sent)
