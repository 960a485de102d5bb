"""DELETE /v1/models/{model}."""

import pytest
from openai import BadRequestError, NotFoundError, PermissionDeniedError

from tests.api.training import meet_the_base_models, model_of, train
from tests.world import Person, Sandbox, work


def test_a_deleted_model_is_gone_here_and_at_the_provider(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    deleted = alice.openai.models.delete(name)
    assert (deleted.id, deleted.object, deleted.deleted) == (name, "model", True)
    with pytest.raises(NotFoundError):
        alice.openai.models.retrieve(name)
    work()
    assert name not in [model.id for model in sandbox.openai.models.list()]


def test_a_deleted_model_cannot_be_called(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    alice.openai.models.delete(name)
    with pytest.raises(NotFoundError):
        alice.openai.chat.completions.create(model=name, messages=[{"role": "user", "content": "q"}])
    with pytest.raises(NotFoundError):
        alice.create_job(model=name)


def test_a_model_can_be_deleted_once(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    alice.openai.models.delete(name)
    with pytest.raises(NotFoundError):
        alice.openai.models.delete(name)


def test_the_job_still_shows_its_deleted_model(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    alice.openai.models.delete(model_of(job))
    work()
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).fine_tuned_model == job.fine_tuned_model


def test_a_base_model_cannot_be_deleted(alice: Person) -> None:
    meet_the_base_models(alice)
    with pytest.raises(PermissionDeniedError) as refused:
        alice.openai.models.delete("gpt-4o-mini-2024-07-18")
    assert refused.value.param == "model"


def test_an_unknown_model_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.models.delete("ft:gpt-4o-mini-2024-07-18:acme::never")
    assert refused.value.code == "model_not_found"


def test_a_model_that_a_waiting_job_tunes_further_is_kept(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    job_id = alice.create_job(model=name)
    with pytest.raises(BadRequestError) as refused:
        alice.openai.models.delete(name)
    assert refused.value.code == "model_in_use"
    assert job_id in refused.value.message
    alice.openai.fine_tuning.jobs.cancel(job_id)
    assert alice.openai.models.delete(name).deleted
