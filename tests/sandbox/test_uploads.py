"""Uploads: a file in parts, put together in the order that was asked for."""

import hashlib

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError
from openai.types import Upload

from tests.sandbox.process import Sandbox

WHOLE = b'{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}'
FIRST, SECOND = WHOLE[:30], WHOLE[30:]


def begin(sandbox: Sandbox, size: int = len(WHOLE)) -> Upload:
    return sandbox.openai.uploads.create(filename="t.jsonl", purpose="fine-tune", bytes=size, mime_type="text/jsonl")


def send(sandbox: Sandbox, upload: Upload, data: bytes) -> str:
    return sandbox.openai.uploads.parts.create(upload.id, data=data).id


def test_parts_become_a_file_in_the_order_of_their_ids(sandbox: Sandbox) -> None:
    upload = begin(sandbox)
    assert (upload.status, upload.expires_at) == ("pending", upload.created_at + 3600)
    second, first = send(sandbox, upload, SECOND), send(sandbox, upload, FIRST)
    done = sandbox.openai.uploads.complete(upload.id, part_ids=[first, second], md5=hashlib.md5(WHOLE).hexdigest())
    assert done.status == "completed"
    assert done.file is not None
    assert sandbox.openai.files.content(done.file.id).content == WHOLE


def test_the_helper_of_the_sdk_works(sandbox: Sandbox) -> None:
    done = sandbox.openai.uploads.upload_file_chunked(
        file=WHOLE, filename="t.jsonl", bytes=len(WHOLE), mime_type="text/jsonl", purpose="fine-tune", part_size=20
    )
    assert done.status == "completed"
    assert sandbox.counted("POST /v1/uploads/{upload_id}/parts") == 4


def test_a_size_or_a_sum_that_does_not_fit_is_refused_and_can_be_mended(sandbox: Sandbox) -> None:
    upload = begin(sandbox)
    first, second = send(sandbox, upload, FIRST), send(sandbox, upload, SECOND)
    with pytest.raises(BadRequestError, match=f"30 bytes together, but {len(WHOLE)}"):
        sandbox.openai.uploads.complete(upload.id, part_ids=[first])
    with pytest.raises(BadRequestError, match="MD5"):
        sandbox.openai.uploads.complete(upload.id, part_ids=[first, second], md5="0" * 32)
    assert sandbox.openai.uploads.complete(upload.id, part_ids=[first, second]).status == "completed"


def test_a_part_is_named_once_and_parts_are_bounded(sandbox: Sandbox) -> None:
    upload = begin(sandbox, 60)
    part = send(sandbox, upload, FIRST)
    with pytest.raises(BadRequestError, match="named twice"):
        sandbox.openai.uploads.complete(upload.id, part_ids=[part, part])
    send(sandbox, upload, b" " * 499_000)
    with pytest.raises(BadRequestError, match="cancel it, and begin anew"):
        send(sandbox, upload, b" " * 1_200)


def test_an_upload_that_is_over_takes_nothing_more(sandbox: Sandbox) -> None:
    upload = begin(sandbox)
    assert sandbox.openai.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(BadRequestError, match="cancelled"):
        send(sandbox, upload, FIRST)


def test_parts_that_make_no_jsonl_are_refused(sandbox: Sandbox) -> None:
    upload = begin(sandbox, 5)
    with pytest.raises(BadRequestError, match="JSONL"):
        sandbox.openai.uploads.complete(upload.id, part_ids=[send(sandbox, upload, b"a,b,c")])


def test_what_is_unknown_or_too_large_is_refused(sandbox: Sandbox) -> None:
    upload = begin(sandbox)
    with pytest.raises(BadRequestError, match="part_none"):
        sandbox.openai.uploads.complete(upload.id, part_ids=["part_none"])
    with pytest.raises(NotFoundError):
        sandbox.openai.uploads.cancel("upload_none")
    with pytest.raises(APIStatusError) as refused:
        send(sandbox, upload, b"x" * 500_001)
    assert refused.value.status_code == 413
