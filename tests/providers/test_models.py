"""Base models, tuned models, and how many jobs an account may have at once."""

from typing import Any

import pytest

from tests.providers.stand_ins import Far
from worker.providers.errors import ProviderError


def test_base_models_are_listed_with_those_that_can_be_tuned(far: Far) -> None:
    models = {model.id: model for model in far.provider.list_base_models()}
    assert models[far.stand_in.model].is_tunable
    assert all(model.is_tunable for model in models.values()) != far.stand_in.lists_others


def test_a_tuned_model_is_no_base_model_and_can_be_deleted(far: Far) -> None:
    far.needs("delete_model")
    job = far.running_job()
    far.sandbox.move(job.id, status="succeeded")
    name = far.provider.get_job(job.id).fine_tuned_model
    assert name is not None
    assert name not in {model.id for model in far.provider.list_base_models()}
    far.provider.delete_model(name)
    with pytest.raises(ProviderError) as refusal:
        far.provider.delete_model(name)
    assert refusal.value.status == 404


def test_a_model_that_is_not_there_is_a_404(far: Far) -> None:
    with pytest.raises(ProviderError) as refusal:
        far.provider.delete_model("ft:nobody:acme::x")
    assert (refusal.value.status, refusal.value.retryable) == (404, False)


def test_slots_are_positive_numbers_by_model(far: Far) -> None:
    far.needs("job_slots")
    slots = far.provider.job_slots()
    assert slots
    assert all(isinstance(count, int) and count > 0 for count in slots.values())


ODD_SLOTS: list[Any] = [{}, [], "none", {"gpt-4o": None}, {"gpt-4o": {"max_concurrent_jobs": "many"}}]


@pytest.mark.parametrize("body", ODD_SLOTS, ids=str)
def test_slots_in_a_shape_that_is_not_known_are_not_said(far: Far, body: Any) -> None:
    far.needs("job_slots")
    far.answer("job_slots", body)
    assert far.provider.job_slots() == {}


ODD_MODELS: list[dict[str, Any]] = [
    {"id": None},
    {"id": 5},
    {"id": "a\0b"},
    {"id": "good", "created": "soon", "owned_by": None, "shutdown_date": 7},
]


def test_odd_models_keep_no_other_from_being_listed(far: Far) -> None:
    far.answer("list_base_models", far.stand_in.models(ODD_MODELS))
    models = {model.id: model for model in far.provider.list_base_models()}
    assert not models.keys() & {"None", "5", "a\0b", "a\ufffdb"}
    model = models["good"]
    assert (model.id, model.created, model.owned_by) == ("good", 0, "")
    assert model.shutdown_date == far.says("shutdown_date", "7")
