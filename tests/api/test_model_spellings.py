"""Another project's model is not found, in whichever spelling and in whichever field a provider may look for it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from sqlmodel import select

from shared.database import transaction
from shared.jobs.models import TunedModel
from shared.jobs.names.readings import has_form_of_tuned, is_ordinary, plain
from shared.projects.models import Credential
from tests.api.accounts import admin, give
from tests.api.test_chat import BASE, CHAT, question
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import send
from tests.world import Person, Sandbox, row

__all__ = ["admin"]

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda name: name,
    "in capitals": lambda name: name.upper(),
    "one capital": lambda name: name.replace("ft:", "Ft:"),
    "percent-encoded": lambda name: quote(name, safe=""),
    "encoded twice": lambda name: quote(quote(name, safe=""), safe=""),
    "every letter encoded": lambda name: "".join(f"%{ord(each):02x}" for each in name),
    "full width": lambda name: "".join(chr(ord(each) + 0xFEE0) if each.isalpha() else each for each in name),
    "a full-width colon": lambda name: name.replace(":", "\uff1a"),
    "a space before": lambda name: f" {name}",
    "a space after": lambda name: f"{name} ",
    "a tab inside": lambda name: name.replace("ft:", "ft\t:"),
    "a line after": lambda name: f"{name}\n",
    "a space without width": lambda name: name.replace("ft", "f\u200bt"),
    "a soft hyphen": lambda name: name.replace("ft", "f\u00adt"),
    "a byte-order mark": lambda name: f"\ufeff{name}",
    "a slash before": lambda name: f"/{name}",
    "a route": lambda name: f"openai/{name}",
    "a long route": lambda name: f"a/b/{name}",
    "a path": lambda name: f"./{name}",
    "a slash after": lambda name: f"{name}/",
    "a variant": lambda name: f"{name}@latest",
    "a control character": lambda name: f"{name}\x7f",
    "a ligature": lambda name: name.replace("ft:", "\ufb05:"),
    "a long s": lambda name: name.replace("s", "\u017f"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_a_reader_may_take_for_a_tuned_model_has_its_form_or_is_not_ordinary(spelling: str) -> None:
    name = SPELLINGS[spelling]("ft:gpt-4o-mini-2024-07-18:org:a-suffix:abc123")
    assert has_form_of_tuned(name) or not is_ordinary(name)


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini", "meta-llama/Llama-3-8B:free", "soft:er", "accounts/a/models/b", "left"]
)
def test_what_is_no_tuned_model_is_not_taken_for_one(name: str) -> None:
    assert is_ordinary(name)
    assert not has_form_of_tuned(name)
    assert plain(name) == name.casefold()


def statuses(bob: Person, name: str) -> list[tuple[int, str]]:
    """What Bob gets who asks for a model of this name, in every way."""
    chat = json.dumps({"model": name, "messages": question()}).encode()
    job = json.dumps({"model": name, "training_file": "file-none"}).encode()
    answers = [
        send(bob, "POST", "/chat/completions", chat),
        send(bob, "GET", f"/models/{quote(name, safe='')}"),
        send(bob, "DELETE", f"/models/{quote(name, safe='')}"),
        send(bob, "POST", "/fine_tuning/jobs", job),
    ]
    return [(answer.status, answer.error["code"]) for answer in answers]


def test_another_projects_model_is_found_in_no_spelling_at_a_new_account(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    """An account whose models are not known yet passes each other name on, and its provider judges it."""
    name = model_of(train(alice, sandbox))
    give(admin, bob, sandbox, meet=False)
    for called, spell in SPELLINGS.items():
        spelled = spell(name)
        assert statuses(bob, spelled) == [(404, "model_not_found")] * 4, called
    assert CHAT not in str(sandbox.http.get("/sandbox/requests").json()["requests"])


def rename(name: str, new: str) -> None:
    """Make it a model of a provider whose tuned models have no form of their own, and which lists them."""
    with transaction() as session:
        model = session.exec(select(TunedModel).where(TunedModel.name == name)).one()
        model.name = new
        account = session.get_one(Credential, model.credential_id)
        listed = {"id": new, "created": 1, "owned_by": "someone", "shutdown_date": None}
        account.base_models = [*account.base_models, listed]


def test_a_model_that_the_provider_lists_among_its_own_stays_its_projects(
    alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    rename(model_of(train(alice, sandbox)), "Company/Secret-1")
    for name in ("Company/Secret-1", "company/secret-1"):
        assert statuses(bob, name) == [(404, "model_not_found")] * 4
    assert "Company/Secret-1" not in [model.id for model in bob.openai.models.list()]
    assert alice.openai.models.retrieve("Company/Secret-1").owned_by == alice.project_id
    assert [model.id for model in alice.openai.models.list()].count("Company/Secret-1") == 1


def test_a_projects_provider_cannot_take_a_base_model_from_others(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    """It may call what its jobs have made by any name."""
    meet_the_base_models(bob)
    job = alice.create_job()
    own = give(admin, alice, sandbox, meet=False)
    with transaction() as session:
        session.get_one(Credential, own).base_url = "https://elsewhere.example/v1"
        model = TunedModel(
            project_id=alice.project_id, job_id=job, credential_id=own, name=BASE, base_model="gpt-4o-mini"
        )
        session.add(model)
    assert row(TunedModel, model.id).name == BASE
    assert bob.openai.models.retrieve(BASE).id == BASE


FIELDS: dict[str, Any] = {
    "models": lambda name: [BASE, name],
    "fallbacks": lambda name: [{"model": name}],
    "fallback_models": lambda name: [name],
}


@pytest.mark.parametrize("field", FIELDS)
def test_no_other_field_of_a_chat_leads_to_another_projects_model(
    alice: Person, bob: Person, sandbox: Sandbox, field: str
) -> None:
    name = model_of(train(alice, sandbox))
    meet_the_base_models(bob)
    for spelled in (name, name.upper(), quote(name, safe="")):
        body = {"model": BASE, "messages": question(), field: FIELDS[field](spelled)}
        answer = send(bob, "POST", "/chat/completions", json.dumps(body).encode())
        assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "model_not_found", field)
        own = send(alice, "POST", "/chat/completions", json.dumps({**body, field: FIELDS[field](name)}).encode())
        assert own.status == 200


ODD: dict[str, Any] = {
    "Models": [BASE],
    "fallback": BASE,
    "route": {"order": [{"to": BASE}]},
    "extra_body": {"model": BASE},
    "models": BASE,
    "fallbacks": [{"model": BASE, "also": BASE}],
    "fallback_models": [BASE] * 101,
}


@pytest.mark.parametrize("field", ODD)
def test_a_field_that_may_name_a_model_and_is_not_known_is_refused(alice: Person, sandbox: Sandbox, field: str) -> None:
    meet_the_base_models(alice)
    body = {"model": BASE, "messages": question(), field: ODD[field]}
    answer = send(alice, "POST", "/chat/completions", json.dumps(body).encode())
    assert (answer.status, answer.error["param"]) == (400, field)


def test_what_is_said_in_a_chat_may_name_any_model(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    meet_the_base_models(bob)
    body = {"model": BASE, "messages": question(name), "metadata": {"about": name}, "stop": [name], "user": name}
    assert send(bob, "POST", "/chat/completions", json.dumps(body).encode()).status == 200


def test_a_grader_cannot_be_another_projects_model(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    meet_the_base_models(bob)
    file = bob.upload()
    scored = {"type": "score_model", "name": "s", "input": [], "model": name}
    for grader in (scored, {"type": "multi", "graders": {"a": {"of": [scored]}}}, {**scored, "model": name.upper()}):
        method = {"type": "reinforcement", "reinforcement": {"grader": grader}}
        body = {"model": "o4-mini-2025-04-16", "training_file": file, "method": method}
        answer = send(bob, "POST", "/fine_tuning/jobs", json.dumps(body).encode())
        assert (answer.status, answer.error["param"]) == (404, "method.reinforcement.grader")
