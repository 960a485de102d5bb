"""POST /v1/fine_tuning/jobs."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.world import Person, Sandbox, lines, work, work_until_created


def test_a_job_is_accepted_at_once_and_carried_to_its_end(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job(suffix="bard", metadata={"team": "a"})
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    sandbox.move(work_until_created(job_id), status="succeeded")
    work()
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "succeeded"
    assert job.fine_tuned_model
    assert job.metadata == {"team": "a"}


def test_a_file_that_is_known_to_be_bad_is_refused_with_its_line(alice: Person) -> None:
    file_id = alice.upload(lines(11) + b"{not json}\n")
    work()
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(training_file=file_id)
    assert (refused.value.code, refused.value.param) == ("invalid_training_file", "training_file")
    assert "Line 12" in refused.value.message


def test_another_projects_file_is_not_found(alice: Person, bob: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        bob.create_job(training_file=alice.upload())
    assert refused.value.param == "training_file"
