"""Models: what there is to tune, and what came of it."""

import pytest
from openai import NotFoundError, PermissionDeniedError

from tests.sandbox.process import Sandbox

NAMED_BY_THE_TUTORIAL = {
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-0613",
    "davinci-002",
    "babbage-002",
    "gpt-4-0613",
}


def test_the_list_has_every_base_and_a_date_only_for_those_that_are_stopped(sandbox: Sandbox) -> None:
    models = {model.id: model for model in sandbox.openai.models.list()}
    assert models.keys() >= NAMED_BY_THE_TUTORIAL
    assert models["gpt-4.1-nano"].shutdown_date == "2026-10-23"
    assert {models[name].shutdown_date for name in ("gpt-4o-mini", "gpt-4.1", "gpt-6-luna")} == {None}


def test_a_tuned_model_belongs_to_the_organization_and_closes_with_its_base(sandbox: Sandbox) -> None:
    name = sandbox.tuned(model="gpt-4.1-nano").fine_tuned_model or ""
    model = sandbox.openai.models.retrieve(name)
    assert (model.owned_by, model.shutdown_date) == ("sandbox", "2026-10-23")


def test_a_tuned_model_can_be_deleted(sandbox: Sandbox) -> None:
    name = sandbox.tuned().fine_tuned_model or ""
    assert sandbox.openai.models.delete(name).deleted
    with pytest.raises(NotFoundError) as missing:
        sandbox.openai.models.retrieve(name)
    assert missing.value.code == "model_not_found"


def test_a_base_cannot_be_deleted(sandbox: Sandbox) -> None:
    with pytest.raises(PermissionDeniedError):
        sandbox.openai.models.delete("gpt-4o")


def test_a_tuned_model_can_be_tuned_further(sandbox: Sandbox) -> None:
    parent = sandbox.tuned(model="gpt-4.1-mini", suffix="one").fine_tuned_model or ""
    job = sandbox.tuned(model=parent, suffix="two")
    assert job.model == parent
    assert (job.fine_tuned_model or "").startswith("ft:gpt-4.1-mini-2025-04-14:sandbox:two:")
