"""Jobs at Together, from the API to the end: files that are shared, examined late or gone; costs; what is refused."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from io import StringIO
from typing import Any

import pytest
from openai import BadRequestError
from sqlmodel import select

from sandbox.wires.together.weights import adapter_of
from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile
from shared.jobs.models import Job, JobEvent
from tests.worker.support import pass_create_grace, ready_job
from tests.worker.together import FILES, JOBS, MODEL, listed, provided_by, switch
from tests.world import Person, Sandbox, lines, row, sandbox_of, step, work, work_until_created


@pytest.fixture(scope="module")
def server_of_together() -> Iterator[Sandbox]:
    with sandbox_of("together") as sandbox:
        yield sandbox


@pytest.fixture
def together(server_of_together: Sandbox, clean: str) -> Iterator[Sandbox]:
    """The deployment's provider."""
    server_of_together.reset()
    with provided_by(server_of_together):
        yield server_of_together
    server_of_together.disarm()


def epochs(count: int) -> dict[str, Any]:
    return {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": count}}}


def asked(together: Sandbox) -> dict[str, Any]:
    """The only job there, as the provider lists it."""
    (job,) = listed(together, JOBS)
    return job


def test_a_job_becomes_a_model_with_its_curve_its_checkpoints_and_its_bill(alice: Person, together: Sandbox) -> None:
    file_id = alice.upload(lines(20))
    job_id = alice.create_job(
        model=MODEL, training_file=file_id, validation_file=file_id, suffix="mine", method=epochs(3)
    )
    theirs = work_until_created(job_id)
    together.move(theirs, status="succeeded")
    work()
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.model, job.training_file) == ("succeeded", MODEL, file_id)
    assert job.fine_tuned_model == asked(together)["model_output_name"]
    assert job.trained_tokens
    cost = row(Job, job_id).cost
    assert Decimal(cost["amount"]) == Decimal(job.trained_tokens * 480) / 10**9
    assert (cost["currency"], cost["tokens"]) == ("USD", job.trained_tokens)
    table = list(csv.DictReader(StringIO(alice.openai.files.content(job.result_files[0]).text)))
    assert [int(each["step"]) for each in table] == list(range(1, 61))
    assert all(each["train_loss"] for each in table)
    assert table[-1]["valid_loss"]
    adapter = alice.openai.files.content(job.result_files[1]).content
    stored = row(Dataset, job.result_files[1])
    assert (stored.filename, adapter) == ("adapter.tar.zst", adapter_of(theirs))
    assert (stored.bytes, stored.sha256) == (len(adapter), sha256(adapter).hexdigest())
    checkpoints = list(alice.openai.fine_tuning.jobs.checkpoints.list(job_id))
    assert [each.step_number for each in checkpoints] == [60, 40, 20]
    events = list(alice.openai.fine_tuning.jobs.list_events(job_id, limit=100))
    assert {event.type for event in events} == {"message", "metrics"}
    assert asked(together)["n_evals"] == 3


def test_two_projects_with_the_same_content_share_a_file_and_neither_takes_it_from_the_other(
    alice: Person, bob: Person, together: Sandbox
) -> None:
    hers = alice.create_job(model=MODEL)
    together.move(work_until_created(hers), status="succeeded")
    work()
    his = bob.create_job(model=MODEL)
    work_until_created(his)
    (file,) = listed(together, FILES)
    assert {job["training_file"] for job in listed(together, JOBS)} == {file["id"]}
    alice.openai.files.delete(row(Job, hers).training_file)
    work(2)
    assert [each["id"] for each in listed(together, FILES)] == [file["id"]]
    together.move(row(Job, his).provider_job_id, status="succeeded")
    work()
    bob.openai.files.delete(row(Job, his).training_file)
    work(2)
    assert listed(together, FILES) == []
    with transaction() as session:
        assert session.exec(select(ProviderFile)).all() == []


def test_a_file_that_is_gone_there_is_sent_again(alice: Person, together: Sandbox) -> None:
    """As when another deployment with the same account has deleted its file of the same content."""
    job_id = ready_job(alice, model=MODEL)
    (file,) = listed(together, FILES)
    together.http.delete(f"{FILES}/{file['id']}").raise_for_status()
    theirs = work_until_created(job_id)
    (again,) = listed(together, FILES)
    assert again["id"] != file["id"]
    assert [job["id"] for job in listed(together, JOBS)] == [theirs]


def test_a_job_waits_until_its_file_has_been_examined(alice: Person, together: Sandbox) -> None:
    switch(together, examination=3600)
    job_id = ready_job(alice, model=MODEL)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id is None
    assert row(Job, job_id).create_pending_at is None
    assert listed(together, JOBS) == []
    with transaction() as session:
        told = session.exec(select(JobEvent.message).where(JobEvent.job_id == job_id)).all()
    training_file = row(Job, job_id).training_file
    assert f"Waiting for the provider: The provider still examines {training_file}" in told


def test_a_file_that_is_found_bad_there_fails_its_job_in_the_providers_words(alice: Person, together: Sandbox) -> None:
    switch(together, complaint="Line 3 has 70000 tokens, and 65536 are allowed.")
    job_id = alice.create_job(model=MODEL)
    work(4)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error is not None
    assert (job.status, job.error.code, job.error.param) == ("failed", "invalid_training_file", "training_file")
    assert str(job.error.message).startswith("Line 3 has 70000 tokens, and 65536 are allowed. Change or remove")


@pytest.mark.parametrize("has_events", [True, False])
def test_a_job_that_is_stopped_for_money_says_so(alice: Person, together: Sandbox, has_events: bool) -> None:
    switch(together, has_events=has_events)
    job_id = alice.create_job(model=MODEL)
    error = {"code": "billing_limit", "message": "The balance is used up."}
    together.move(work_until_created(job_id), status="failed", error=error)
    work()
    found = alice.openai.fine_tuning.jobs.retrieve(job_id).error
    assert found is not None
    assert found.code == "insufficient_quota"
    assert str(found.message).startswith("The balance is used up. The account at the provider has to be topped up")
    assert row(Job, job_id).cost is None


def test_a_cancel_is_over_when_the_provider_says_so(alice: Person, together: Sandbox) -> None:
    switch(together, cancels_later=True)
    job_id = alice.create_job(model=MODEL)
    theirs = work_until_created(job_id)
    together.move(theirs, status="running")
    work()
    alice.openai.fine_tuning.jobs.cancel(job_id)
    work()
    assert asked(together)["status"] == "cancel_requested"
    assert row(Job, job_id).status == "running"
    together.move(theirs, status="cancelled")
    work()
    assert row(Job, job_id).status == "cancelled"


def test_a_tuned_model_and_a_checkpoint_are_tuned_again(alice: Person, together: Sandbox) -> None:
    first = alice.create_job(model=MODEL, method=epochs(3))
    together.move(work_until_created(first), status="succeeded")
    work()
    made = row(Job, first)
    checkpoint = list(alice.openai.fine_tuning.jobs.checkpoints.list(first))[-1].fine_tuned_model_checkpoint
    for name in (made.fine_tuned_model, checkpoint):
        again = alice.create_job(model=name, training_file=made.training_file)
        theirs = work_until_created(again)
        there = together.http.get(f"{JOBS}/{theirs}").json()
        assert (there["from_checkpoint"], there["model"]) == (name, MODEL)
        work()
        assert alice.openai.fine_tuning.jobs.retrieve(again).model == name


def test_a_create_without_an_answer_is_found_by_its_suffix(alice: Person, together: Sandbox) -> None:
    job_id = ready_job(alice, model=MODEL, suffix="mine")
    together.arm("POST", JOBS, drop="after")
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id is None
    pass_create_grace(job_id)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id == asked(together)["id"]
    assert asked(together)["suffix"] == f"mine-{job_id.removeprefix('ftjob-')}"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"suffix": "a-long-suffix-"}, "suffix"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
    (
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"learning_rate_multiplier": 2}}}},
        "method.supervised.hyperparameters.learning_rate_multiplier",
    ),
]


@pytest.mark.parametrize(("values", "param"), REFUSED, ids=str)
def test_what_the_provider_has_not_is_refused_at_once(
    alice: Person, together: Sandbox, values: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequestError) as refusal:
        alice.create_job(model=MODEL, **values)
    assert (refusal.value.code, refusal.value.param) == ("unsupported_by_provider", param)


def test_options_go_there_in_the_providers_words(alice: Person, together: Sandbox) -> None:
    options = {"lora_r": 8, "learning_rate": 1e-4, "early_stopping_enabled": True, "packing": False, "n_checkpoints": 2}
    file_id = alice.upload(lines(20))
    job_id = alice.create_job(
        model=MODEL, training_file=file_id, validation_file=file_id, extra_body={"provider_options": options}
    )
    work_until_created(job_id)
    job = asked(together)
    assert job["training_type"] == {"type": "Lora", "lora_r": 8, "lora_alpha": 16}
    assert (job["learning_rate"], job["n_checkpoints"], job["n_evals"]) == (1e-4, 2, 4)


def test_options_that_exclude_each_other_fail_the_job_with_a_sentence(alice: Person, together: Sandbox) -> None:
    job_id = alice.create_job(model=MODEL, extra_body={"provider_options": {"full": True, "lora_r": 8}})
    work(4)
    error = alice.openai.fine_tuning.jobs.retrieve(job_id).error
    assert error is not None
    assert (error.code, error.param) == ("invalid_value", "provider_options")
    assert "lora_r cannot be given with it" in str(error.message)
    assert listed(together, JOBS) == []
    assert row(Dataset, row(Job, job_id).training_file).status == "processed"
