"""GET /v1/files/{file_id}/content."""

import pytest
from openai import BadRequestError, InternalServerError, NotFoundError

from shared.datasets.storage import store
from tests.api.training import train
from tests.world import Person, Sandbox, lines


def test_the_bytes_come_back_as_they_are(alice: Person) -> None:
    answer = alice.openai.files.content(alice.upload(lines(20)))
    assert answer.read() == lines(20)
    assert answer.response.headers["content-type"] == "application/octet-stream"
    assert int(answer.response.headers["content-length"]) == len(lines(20))


def test_the_result_file_of_a_job_has_its_losses(alice: Person, sandbox: Sandbox) -> None:
    [file_id] = train(alice, sandbox).result_files
    file = alice.openai.files.retrieve(file_id)
    assert (file.purpose, file.status) == ("fine-tune-results", "processed")
    assert alice.openai.files.content(file_id).read().startswith(b"step,train_loss,")


def test_what_assistants_read_is_not_given_out(alice: Person) -> None:
    file = alice.openai.files.create(file=("a.txt", b"a"), purpose="assistants")
    with pytest.raises(BadRequestError) as refused:
        alice.openai.files.content(file.id)
    assert "Not allowed to download files of purpose: assistants" in refused.value.message


def test_a_file_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError):
        alice.openai.files.content("file-never")


def test_bytes_that_are_lost_are_told_as_our_fault(alice: Person) -> None:
    file_id = alice.upload()
    store.remove(file_id)
    with pytest.raises(InternalServerError) as failed:
        alice.openai.files.content(file_id)
    assert (failed.value.status_code, failed.value.code) == (503, "storage_unavailable")
