"""/v1/uploads/{id}/complete: the parts become one file, once, with the right bytes."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5, sha256
from typing import Any

import pytest
from openai import BadRequestError

from shared.datasets.models import Dataset, ProviderFile, Upload, UploadPart
from tests.api.uploading import DATA, PART_BYTES, begin, content, cut, refused, send_parts
from tests.api.wire import facts, send
from tests.storage_locations import StorageLocation
from tests.worker.support import ids
from tests.world import Person, Sandbox, row, work, work_until_created


def test_the_sdks_own_way_gives_the_file_that_one_request_would(alice: Person, location: StorageLocation) -> None:
    upload = alice.openai.uploads.upload_file_chunked(
        file=DATA, filename="train.jsonl", bytes=len(DATA), mime_type="text/jsonl", purpose="fine-tune", part_size=500
    )
    whole = alice.openai.files.retrieve(alice.upload(DATA))
    assert upload.status == "completed"
    assert upload.file
    assert content(alice, upload.file.id) == DATA
    of_file = {"id", "created_at"}
    assert upload.file.model_dump(exclude=of_file) == whole.model_dump(exclude=of_file)
    rows = [row(Dataset, id) for id in (upload.file.id, whole.id)]
    assert rows[0].sha256 == rows[1].sha256 == sha256(DATA).hexdigest()
    work()
    assert alice.openai.files.retrieve(upload.file.id).status == "processed"


def test_a_file_of_one_part_is_right_too(alice: Person, location: StorageLocation) -> None:
    upload = alice.openai.uploads.upload_file_chunked(
        file=DATA, filename="a", bytes=len(DATA), mime_type="text/jsonl", purpose="fine-tune"
    )
    assert upload.file
    assert row(Dataset, upload.file.id).sha256 == sha256(DATA).hexdigest()
    assert content(alice, upload.file.id) == DATA


def test_a_file_that_repeats_itself_names_a_part_as_often(alice: Person, location: StorageLocation) -> None:
    twice = DATA + b"\n" + DATA + b"\n"
    file = alice.openai.uploads.upload_file_chunked(
        file=twice,
        filename="a",
        bytes=len(twice),
        mime_type="text/jsonl",
        purpose="fine-tune",
        part_size=len(DATA) + 1,
        md5=md5(twice, usedforsecurity=False).hexdigest(),
    ).file
    assert file
    assert len(ids(UploadPart)) == 1
    assert content(alice, file.id) == twice
    work(2)
    assert alice.openai.files.retrieve(file.id).status == "processed"
    alice.openai.files.delete(file.id)
    work(2)
    assert location.names() == []


def test_nothing_is_left_of_a_deleted_file(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice)
    file = alice.openai.uploads.complete(upload.id, part_ids=send_parts(alice, upload.id, cut(DATA))).file
    assert file
    alice.openai.files.delete(file.id)
    work(2)
    assert location.names() == []
    assert "file" not in alice.openai.uploads.complete(upload.id, part_ids=row(Upload, upload.id).part_ids).to_dict()


def test_a_file_of_parts_reaches_the_provider(alice: Person, sandbox: Sandbox, location: StorageLocation) -> None:
    upload = begin(alice)
    file = alice.openai.uploads.complete(upload.id, part_ids=send_parts(alice, upload.id, cut(DATA))).file
    assert file
    work_until_created(alice.create_job(training_file=file.id))
    assert sandbox.openai.files.content(sandbox.files()[0].id).read() == DATA
    assert row(ProviderFile, ids(ProviderFile)[0]).dataset_id == file.id


@pytest.mark.parametrize("upper", [False, True])
def test_a_right_md5_is_taken(alice: Person, location: StorageLocation, upper: bool) -> None:
    upload, digest = begin(alice), md5(DATA, usedforsecurity=False).hexdigest()
    sent = send_parts(alice, upload.id, cut(DATA))
    completed = alice.openai.uploads.complete(upload.id, part_ids=sent, md5=digest.upper() if upper else digest)
    assert completed.status == "completed"


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_md5_is_told_and_the_parts_stay(alice: Person, location: StorageLocation, count: int) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA, -(-len(DATA) // count)))
    before = location.names()
    with refused(code="md5_mismatch", param="md5"):
        alice.openai.uploads.complete(upload.id, part_ids=sent, md5="0" * 32)
    assert (ids(Dataset), location.names()) == ([], before)
    assert alice.openai.uploads.complete(upload.id, part_ids=sent).status == "completed"


def test_a_wrong_total_size_is_an_error_when_the_upload_is_completed(alice: Person) -> None:
    declared = len(DATA) + 1
    upload = begin(alice, declared)
    sent = send_parts(alice, upload.id, cut(DATA))
    with pytest.raises(BadRequestError) as error:
        alice.openai.uploads.complete(upload.id, part_ids=sent)
    assert facts(error.value) == (400, "size_mismatch", "part_ids")
    assert f"{len(DATA)} bytes" in error.value.message
    assert f"created for {declared}" in error.value.message
    assert ids(Dataset) == []


def test_the_parts_must_be_of_this_upload_and_none_may_replace_another(alice: Person) -> None:
    upload, other = begin(alice, 2), begin(alice, 2)
    [mine, last], [others] = send_parts(alice, upload.id, [b"a", b"c"]), send_parts(alice, other.id, [b"b"])
    for part_ids in ([mine, others], [mine, "part_never"], [mine, mine], [last, last], [mine, ""]):
        with refused(code="invalid_value", param="part_ids"):
            alice.openai.uploads.complete(upload.id, part_ids=part_ids)


def test_completing_again_with_the_same_parts_gives_the_same_answer(alice: Person) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    first, second = (alice.openai.uploads.complete(upload.id, part_ids=sent) for _ in range(2))
    assert first == second
    with refused(code="upload_not_pending", param="id"):
        alice.openai.uploads.complete(upload.id, part_ids=sent[::-1])
    assert len(ids(Dataset)) == 1


def test_completed_many_times_at_once_it_becomes_one_file(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    with ThreadPoolExecutor(6) as pool:
        completed = list(pool.map(lambda _: alice.openai.uploads.complete(upload.id, part_ids=sent), range(6)))
    assert {each.file.id for each in completed if each.file} == set(ids(Dataset))
    assert location.names() == sorted([f"{ids(Dataset)[0]}.parts", *sent])


@pytest.mark.parametrize(
    ("order", "param"),
    [
        ({}, "part_ids"),
        ({"part_ids": []}, "part_ids"),
        ({"part_ids": "part_1"}, "part_ids"),
        ({"part_ids": [1]}, "part_ids.0"),
        ({"part_ids": ["a" * 65]}, "part_ids.0"),
        ({"part_ids": ["part_\0"]}, None),
        ({"part_ids": ["part_1"], "md5": "no digest"}, "md5"),
        ({"part_ids": ["part_1"], "colour": 1}, "colour"),
    ],
    ids=repr,
)
def test_an_invalid_completion_is_refused(alice: Person, order: dict[str, Any], param: str | None) -> None:
    answer = send(alice, "POST", f"/uploads/{begin(alice).id}/complete", json.dumps(order).encode())
    assert (answer.status, answer.error["param"]) == (400, param)


def test_a_file_expires_after_the_time_that_its_upload_said(alice: Person) -> None:
    upload = begin(alice, 1, expires_after={"anchor": "created_at", "seconds": 3600})
    file = alice.openai.uploads.complete(upload.id, part_ids=send_parts(alice, upload.id, [b"x"])).file
    assert file
    assert file.expires_at == file.created_at + 3600


def test_the_same_file_twice_is_two_files(alice: Person, location: StorageLocation) -> None:
    made = [
        alice.openai.uploads.upload_file_chunked(
            file=io.BytesIO(DATA).getvalue(),
            filename="same.jsonl",
            bytes=len(DATA),
            mime_type="text/jsonl",
            purpose="fine-tune",
            part_size=PART_BYTES,
        ).file
        for _ in range(2)
    ]
    first, second = (file.id for file in made if file)
    alice.openai.files.delete(first)
    work(2)
    assert content(alice, second) == DATA
