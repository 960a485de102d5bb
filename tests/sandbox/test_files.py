"""Files: what is kept, what is refused at the door, and how long it stays."""

from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError

from tests.sandbox.process import Sandbox, chats


def test_a_training_file_is_kept_as_it_was_sent(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(2))
    assert (file.purpose, file.status, file.filename) == ("fine-tune", "processed", "train.jsonl")
    content = sandbox.openai.files.content(file.id).content
    assert (len(content), content.count(b"\n")) == (file.bytes, 1)
    assert sandbox.openai.files.retrieve(file.id) == file


@pytest.mark.parametrize("purpose", ["assistants", "batch", "vision", "user_data"])
def test_files_of_every_purpose_are_kept_unread(sandbox: Sandbox, purpose: str) -> None:
    file = sandbox.upload(raw=b"\x00 no jsonl", purpose=purpose)
    assert [listed.id for listed in sandbox.openai.files.list(purpose=purpose)] == [file.id]


def test_files_for_evals_keep_a_purpose_that_the_sdk_takes_but_does_not_know(sandbox: Sandbox) -> None:
    file = sandbox.lenient.files.create(file=b"{}", purpose="evals")
    assert str(file.purpose) == "evals"


@pytest.mark.parametrize(
    "raw", [b"", b"prompt,completion\n", b'\xef\xbb\xbf{"messages": []}', b"[1]\n", b'"text"', b"\xff\xfe"]
)
def test_a_training_file_whose_first_line_is_no_object_is_refused(sandbox: Sandbox, raw: bytes) -> None:
    with pytest.raises(BadRequestError, match="JSONL") as refused:
        sandbox.upload(raw=raw)
    assert (refused.value.param, refused.value.code) == (None, None)
    assert not sandbox.openai.files.list().data


def test_a_file_over_the_limit_is_refused_whether_or_not_its_size_was_announced(sandbox: Sandbox) -> None:
    with pytest.raises(APIStatusError) as refused:
        sandbox.upload(raw=b"x" * 1_000_001, purpose="batch")
    assert refused.value.status_code == 413
    head = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    endless = (part for part in [head, *[b"x" * 100_000] * 12])
    answer = sandbox.http.post(
        "/v1/files", content=endless, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ({"files": {"file": b"x"}}, "purpose"),
        ({"files": {"file": b"x"}, "data": {"purpose": "fun"}}, "purpose"),
        ({"files": {"data": b"x"}, "data": {"purpose": "batch"}}, "file"),
        (
            {"files": {"file": b"x"}, "data": {"purpose": "batch", "expires_after[anchor]": "created_at"}},
            "expires_after",
        ),
    ],
)
def test_a_form_that_lacks_something_is_told_what(sandbox: Sandbox, parts: dict[str, Any], param: str) -> None:
    answer = sandbox.http.post("/v1/files", **parts)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_file_can_be_made_to_expire(sandbox: Sandbox) -> None:
    after: Any = {"anchor": "created_at", "seconds": 3600}
    file = sandbox.openai.files.create(file=b"{}", purpose="batch", expires_after=after)
    assert file.expires_at == file.created_at + 3600


@pytest.mark.parametrize("seconds", [3599, 2_592_001])
def test_an_expiry_out_of_bounds_is_refused(sandbox: Sandbox, seconds: int) -> None:
    after: Any = {"anchor": "created_at", "seconds": seconds}
    with pytest.raises(BadRequestError):
        sandbox.openai.files.create(file=b"{}", purpose="batch", expires_after=after)


def test_what_is_unset_is_left_out(sandbox: Sandbox) -> None:
    sandbox.upload(*chats(1))
    assert not {"expires_at", "status_details"} & sandbox.http.get("/v1/files").json()["data"][0].keys()


def test_a_deleted_file_is_gone(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(1))
    assert sandbox.openai.files.delete(file.id).deleted
    with pytest.raises(NotFoundError, match=f"No such File object: {file.id}") as missing:
        sandbox.openai.files.content(file.id)
    assert (missing.value.param, missing.value.code) == ("id", None)


def test_a_file_for_assistants_cannot_be_downloaded(sandbox: Sandbox) -> None:
    file = sandbox.upload(raw=b"x", purpose="assistants")
    with pytest.raises(BadRequestError, match="Not allowed to download files of purpose: assistants"):
        sandbox.openai.files.content(file.id)
