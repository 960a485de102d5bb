"""`provider_options` of a new job: what a kind of provider takes beside OpenAI's own fields."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError

from tests.api.wire import facts
from tests.worker.support import settings
from tests.world import Person, work

GLOBAL = {"trainingType": "GlobalStandard"}


@pytest.fixture
def at_azure() -> Iterator[None]:
    with settings(TUNERY_PROVIDER__DIALECT="azure"):
        yield


def create(person: Person, **extra: Any) -> Any:
    return person.openai.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=person.upload(), extra_body=extra)


TAKEN_BY_AZURE = [  # given, and as they are kept and sent
    (None, None),
    ({}, {}),
    (GLOBAL, GLOBAL),
    ({"trainingType": "globalstandard"}, GLOBAL),
    ({"trainingType": "DeveloperTier"}, {"trainingType": "developerTier"}),
    ({"trainingType": "standard"}, {"trainingType": "Standard"}),
    ({"trainingType": 0}, {"trainingType": 0}),
    ({"trainingType": 1}, {"trainingType": 1}),
]


@pytest.mark.parametrize(("given", "kept"), TAKEN_BY_AZURE)
def test_azures_options_are_kept_and_shown(
    alice: Person, at_azure: None, given: dict[str, Any] | None, kept: dict[str, Any] | None
) -> None:
    job = create(alice, provider_options=given)
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).to_dict()["provider_options"] == kept


WRONG_AT_AZURE = [
    ({"trainingType": "fast"}, "invalid_value", "provider_options.trainingType"),
    ({"trainingType": 2}, "invalid_value", "provider_options.trainingType"),
    ({"trainingType": "1"}, "invalid_value", "provider_options.trainingType"),
    ({"trainingType": 1.0}, "invalid_value", "provider_options.trainingType"),
    ({"trainingType": True}, "invalid_value", "provider_options.trainingType"),
    ({"trainingType": None}, "invalid_value", "provider_options.trainingType"),
    ({"trainingType": ["Standard"]}, "invalid_value", "provider_options.trainingType"),
    ({**GLOBAL, "region": "us"}, "unknown_parameter", "provider_options.region"),
    ({"sk-secret": "us"}, "unknown_parameter", "provider_options"),
    ([], "invalid_value", "provider_options"),
    ("GlobalStandard", "invalid_value", "provider_options"),
    ({str(number): 1 for number in range(17)}, "invalid_value", "provider_options"),
]


@pytest.mark.parametrize(("options", "code", "param"), WRONG_AT_AZURE)
def test_a_wrong_option_is_refused_by_its_name(
    alice: Person, at_azure: None, options: Any, code: str, param: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        create(alice, provider_options=options)
    assert facts(refused.value) == (400, code, param)
    assert "sk-secret" not in refused.value.message


@pytest.fixture
def at_the_trainer() -> Iterator[None]:
    with settings(TUNERY_PROVIDER__DIALECT="trainer"):
        yield


def test_the_trainers_options_are_kept_and_sent_inside_their_own_field(alice: Person, at_the_trainer: None) -> None:
    given = {"rank": 8, "alpha": 16, "dropout": 0.1, "targets": ["q_proj"], "learning_rate": 2e-4, "full": False}
    job = create(alice, provider_options=given)
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).to_dict()["provider_options"] == given
    work(5)
    failed = alice.openai.fine_tuning.jobs.retrieve(job.id)  # the sandbox, which is asked here, has no options
    assert failed.error
    assert "'provider_options'" in failed.error.message


WRONG_AT_THE_TRAINER: list[tuple[str, Any]] = [
    ("rank", 0),
    ("rank", 513),
    ("rank", 8.0),
    ("rank", True),
    ("rank", "8"),
    ("alpha", 0),
    ("dropout", 0.6),
    ("dropout", 1e308),
    ("targets", []),
    ("targets", ["q_proj", ""]),
    ("targets", "q_proj"),
    ("targets", ["x" * 101]),
    ("learning_rate", -1e-4),
    ("max_length", 7),
    ("quantization", "8bit"),
    ("quantization", None),
    ("full", "true"),
    ("packing", 1),
    ("shard", "yes"),
    ("warmup", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG_AT_THE_TRAINER)
def test_a_wrong_value_for_the_trainer_is_refused_by_its_name(
    alice: Person, at_the_trainer: None, name: str, value: Any
) -> None:
    with pytest.raises(BadRequestError) as refused:
        create(alice, provider_options={name: value})
    assert facts(refused.value) == (400, "invalid_value", f"provider_options.{name}")


def test_a_provider_that_knows_no_options_refuses_each_by_its_name(alice: Person) -> None:
    with pytest.raises(BadRequestError, match="it knows none") as refused:
        create(alice, provider_options=GLOBAL)
    assert facts(refused.value) == (400, "unknown_parameter", "provider_options.trainingType")


@pytest.mark.parametrize("name", ["trainingType", "training_type", "TrainingType"])
def test_an_option_beside_openais_fields_is_told_where_it_belongs(alice: Person, name: str) -> None:
    with pytest.raises(BadRequestError, match="send it inside `provider_options`") as refused:
        create(alice, **{name: 1})
    assert facts(refused.value) == (400, "unknown_parameter", name)


def test_a_copy_has_the_options_of_its_original_unless_it_has_its_own(alice: Person, at_azure: None) -> None:
    original = create(alice, provider_options=GLOBAL)
    owns: list[dict[str, Any]] = [{}, {"provider_options": {"trainingType": "Standard"}}, {"provider_options": {}}]
    shown = [
        alice.http.post("/fine_tuning/jobs", json={"from_job": original.id, **own}).json()["provider_options"]
        for own in owns
    ]
    assert shown == [GLOBAL, {"trainingType": "Standard"}, {}]


def test_the_provider_receives_the_options(alice: Person, at_azure: None) -> None:
    job = create(alice, provider_options=GLOBAL)
    work(5)
    failed = alice.openai.fine_tuning.jobs.retrieve(job.id)  # the sandbox refuses fields that OpenAI does not have
    assert failed.error
    assert "trainingType" in failed.error.message
