"""GET /v1/files/{file_id}."""

import pytest
from openai import NotFoundError

from tests.world import Person


def test_a_file_is_the_one_that_was_uploaded(alice: Person) -> None:
    uploaded = alice.openai.files.create(file=("a.txt", b"abc"), purpose="user_data")
    assert alice.openai.files.retrieve(uploaded.id) == uploaded


def test_a_file_that_never_was_is_not_found_in_openais_words(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.files.retrieve("file-never")
    assert refused.value.body == {
        "message": "No such File object: file-never",
        "type": "invalid_request_error",
        "param": "id",
        "code": "not_found",
    }
