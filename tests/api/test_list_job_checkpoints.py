"""GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints."""

import pytest
from openai import NotFoundError

from tests.api.training import train
from tests.world import Person, Sandbox


def test_a_new_job_has_none(alice: Person) -> None:
    assert alice.openai.fine_tuning.jobs.checkpoints.list(alice.create_job()).data == []


def test_the_last_three_epochs_are_kept_the_newest_first(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, hyperparameters={"n_epochs": 4, "batch_size": 12})
    checkpoints = alice.openai.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [checkpoint.step_number for checkpoint in checkpoints] == [4, 3, 2]
    assert checkpoints[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert all(checkpoint.fine_tuning_job_id == job.id for checkpoint in checkpoints)
    assert all(checkpoint.metrics.train_loss for checkpoint in checkpoints)


def test_pages_follow_each_other_to_the_end(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, hyperparameters={"n_epochs": 3})
    found = alice.openai.fine_tuning.jobs.checkpoints.list(job.id, limit=1)
    assert found.has_more
    steps = [checkpoint.step_number for checkpoint in found]
    assert steps == sorted(set(steps), reverse=True)
    assert len(steps) == 3


def test_a_checkpoint_answers_questions(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, hyperparameters={"n_epochs": 2})
    name = alice.openai.fine_tuning.jobs.checkpoints.list(job.id).data[-1].fine_tuned_model_checkpoint
    answer = alice.openai.chat.completions.create(model=name, messages=[{"role": "user", "content": "Question 3"}])
    assert answer.choices[0].message.content == "Answer 3"


def test_a_job_or_a_cursor_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.fine_tuning.jobs.checkpoints.list("ftjob-never")
    assert refused.value.param == "fine_tuning_job_id"
    with pytest.raises(NotFoundError) as refused:
        alice.openai.fine_tuning.jobs.checkpoints.list(alice.create_job(), after="ftckpt_never")
    assert refused.value.param == "after"
