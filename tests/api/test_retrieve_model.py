"""GET /v1/models/{model}."""

import pytest
from openai import NotFoundError
from sqlmodel import select

from shared.database import transaction
from shared.projects.models import Credential
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts, send
from tests.world import Person, Sandbox


def test_a_base_model_is_found(alice: Person) -> None:
    meet_the_base_models(alice)
    model = alice.openai.models.retrieve("gpt-4.1-nano-2025-04-14")
    assert (model.id, model.object, str(model.shutdown_date)) == ("gpt-4.1-nano-2025-04-14", "model", "2026-10-23")
    assert alice.openai.models.retrieve("gpt-4o-mini-2024-07-18").shutdown_date is None


def test_a_tuned_model_is_its_projects_and_stops_with_its_base(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    name = model_of(train(alice, sandbox, suffix="bard"))
    base = {"id": "gpt-4o-mini-2024-07-18", "created": 1, "owned_by": "", "shutdown_date": "2027-01-14"}
    with transaction() as session:
        session.exec(select(Credential)).one().base_models = [base]
    model = alice.openai.models.retrieve(name)
    assert (model.id, model.owned_by, str(model.shutdown_date)) == (name, alice.project_id, "2027-01-14")


def test_colons_in_the_path_may_be_written_either_way(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    for path in (name, name.replace(":", "%3A")):
        assert send(alice, "GET", f"/models/{path}").json["id"] == name


def test_a_name_with_slashes_is_found(alice: Person) -> None:
    meet_the_base_models(alice)
    llama = {"id": "meta-llama/Llama-3.3-70B", "created": 1, "owned_by": "meta", "shutdown_date": None}
    with transaction() as session:
        session.exec(select(Credential)).one().base_models = [llama]
    assert alice.openai.models.retrieve("meta-llama/Llama-3.3-70B").owned_by == "meta"
    assert send(alice, "GET", "/models/meta-llama/Llama-3.3-70B").status == 200


@pytest.mark.parametrize("name", ["gpt-never", "ft:gpt-4o-mini-2024-07-18:acme::never"])
def test_an_unknown_model_is_not_found(alice: Person, name: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.models.retrieve(name)
    assert facts(refused.value) == (404, "model_not_found", "model")
