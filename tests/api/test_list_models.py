"""GET /v1/models."""

from datetime import date

from sqlmodel import select

from shared.database import transaction
from shared.jobs.model_list import list_ending
from shared.projects.models import Credential
from tests.api.training import meet_the_base_models, model_of, train
from tests.world import Person, Sandbox


def test_base_models_are_listed_after_the_provider_has_been_asked_for_them(alice: Person) -> None:
    assert alice.openai.models.list().data == []
    assert {"gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14"} <= set(meet_the_base_models(alice))


def test_base_models_show_their_shutdown_date(alice: Person) -> None:
    meet_the_base_models(alice)
    days = {model.id: model.shutdown_date for model in alice.openai.models.list()}
    assert str(days["gpt-4.1-nano-2025-04-14"]) == "2026-10-23"
    assert all(day is None or date.fromisoformat(str(day)) for day in days.values())


def test_own_models_follow_the_base_models_newest_first(alice: Person, sandbox: Sandbox) -> None:
    bases = meet_the_base_models(alice)
    own = [model_of(train(alice, sandbox)) for _ in range(2)]
    assert [model.id for model in alice.openai.models.list()] == bases + own[::-1]


def test_the_list_has_no_pages(alice: Person) -> None:
    assert alice.http.get("/models").json() == {"object": "list", "data": []}


def test_a_deleted_model_is_not_listed(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    alice.openai.models.delete(name)
    assert name not in [model.id for model in alice.openai.models.list()]


def test_the_providers_other_tuned_models_are_not_listed(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    assert name in [model.id for model in sandbox.openai.models.list()]
    assert name not in meet_the_base_models(bob)


def announce(ends: dict[str, str]) -> None:
    """The provider's base models with these last days, and no others."""
    with transaction() as session:
        for account in session.exec(select(Credential)):
            listed = [{**base, "shutdown_date": ends.get(base["id"])} for base in account.base_models]
            account.base_models = listed


def test_own_models_that_end_come_by_their_last_day_and_then_newest_first(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    bases = ("gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")
    later, sooner, newest, _ = (model_of(train(alice, sandbox, model=base)) for base in bases)
    announce({"gpt-4o-mini-2024-07-18": "2099-02-01", "gpt-4.1-2025-04-14": "2099-01-01"})
    with transaction(alice.project_id) as session:
        listed = [[model.id for model in list_ending(session, alice.project_id, limit)] for limit in (1, 2, 9)]
    assert listed == [[sooner], [sooner, newest], [sooner, newest, later]]
