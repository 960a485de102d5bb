"""Steps of an upload for tests: begin it, cut a file into parts, send them, and expect a refusal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import APIStatusError
from openai.types import Upload as UploadObject

from tests.api.wire import MULTIPART, Answer, facts, send
from tests.world import Person, lines

DATA = lines(30)


PART_BYTES = 1000


def begin(person: Person, size: int = len(DATA), **values: Any) -> UploadObject:
    given: dict[str, Any] = {"filename": "train.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl", **values}
    return person.openai.uploads.create(bytes=size, **given)


def cut(data: bytes, size: int = PART_BYTES) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def send_parts(person: Person, upload_id: str, parts: list[bytes]) -> list[str]:
    return [person.openai.uploads.parts.create(upload_id, data=each).id for each in parts]


def content(person: Person, file_id: str) -> bytes:
    return person.openai.files.content(file_id).read()


@contextmanager
def refused(status: int = 400, code: str | None = None, param: str | None = None) -> Iterator[None]:
    with pytest.raises(APIStatusError) as error:
        yield
    assert facts(error.value) == (status, code, param)


def post_part(person: Person, upload_id: str, body: Any, kind: str = MULTIPART, **headers: str) -> Answer:
    return send(person, "POST", f"/uploads/{upload_id}/parts", body, {"content-type": kind, **headers})
