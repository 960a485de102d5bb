"""GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events."""

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.fine_tuning import FineTuningJobEvent

from tests.api.training import train
from tests.world import Person, Sandbox, work


def events_of(person: Person, job_id: str, limit: int = 1000) -> list[FineTuningJobEvent]:
    return list(person.openai.fine_tuning.jobs.list_events(job_id, limit=limit))


def test_a_new_job_has_one_event(alice: Person) -> None:
    [event] = events_of(alice, alice.create_job())
    assert (event.object, event.level, event.type) == ("fine_tuning.job.event", "info", "message")
    assert event.id.startswith("ftevent-")


def test_a_finished_job_tells_its_life_newest_first(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    messages = [event.message for event in events_of(alice, job.id)]
    assert messages[0] == "The job has successfully completed"
    order = ["successfully completed", "New fine-tuned model", "Step ", "job started", "Files validated", "accepted"]
    places = [next(place for place, message in enumerate(messages) if part in message) for part in order]
    assert places == sorted(places)


def test_the_providers_sentences_speak_of_our_ids(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    told = " ".join(event.message for event in events_of(alice, job.id))
    assert f"Created fine-tuning job: {job.id}" in told
    assert f"Validating training file: {job.training_file}" in told
    assert sandbox.jobs()[0].id not in told


def test_metrics_have_steps_and_losses(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    metrics = [event.data for event in events_of(alice, job.id) if event.type == "metrics"]
    steps = [data["step"] for data in metrics if isinstance(data, dict)]
    assert steps == list(range(len(steps), 0, -1))
    assert all(isinstance(data, dict) and data["train_loss"] > 0 for data in metrics)


def test_a_second_look_doubles_nothing(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    before = events_of(alice, job.id)
    work(3)
    assert events_of(alice, job.id) == before


@pytest.mark.parametrize("limit", [1, 20, 1000])
def test_pages_follow_each_other_to_the_end(alice: Person, sandbox: Sandbox, limit: int) -> None:
    job = train(alice, sandbox, hyperparameters={"n_epochs": 2, "batch_size": 1})
    events = events_of(alice, job.id, limit)
    assert len({event.id for event in events}) == len(events) > 24
    assert [event.id for event in events] == sorted((event.id for event in events), reverse=True)


def test_twenty_are_on_a_page_unless_said_otherwise(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    page = alice.openai.fine_tuning.jobs.list_events(job.id)
    assert (len(page.data), page.has_more) == (20, True)


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_wrong_limit_is_named(alice: Person, limit: int) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.fine_tuning.jobs.list_events("ftjob-x", limit=limit)
    assert refused.value.param == "limit"


def test_a_job_or_a_cursor_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.fine_tuning.jobs.list_events("ftjob-never")
    assert refused.value.param == "fine_tuning_job_id"
    with pytest.raises(NotFoundError) as refused:
        alice.openai.fine_tuning.jobs.list_events(alice.create_job(), after="ftevent-never")
    assert refused.value.param == "after"
