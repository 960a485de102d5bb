"""/v1/uploads: creating, showing, cancelling and expiring."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from openai import NotFoundError
from openai.types import Upload as UploadObject

from shared.datasets.models import Upload, UploadPart, UploadStatus
from shared.db.times import epoch, utc_now
from tests.api.uploading import DATA, begin, cut, refused, send_parts
from tests.api.wire import send
from tests.storage_locations import StorageLocation
from tests.worker.support import change, ids, settings
from tests.world import Person, row, step, work


def test_an_upload_is_described_as_openai_does(alice: Person) -> None:
    upload = begin(alice)
    assert upload.id.startswith("upload_")
    assert (upload.object, upload.bytes, upload.filename) == ("upload", len(DATA), "train.jsonl")
    assert (upload.purpose, upload.status) == ("fine-tune", "pending")
    assert abs(upload.created_at - time.time()) < 60
    assert upload.expires_at == upload.created_at + 3600
    assert "file" not in upload.model_fields_set


def test_an_upload_can_be_retrieved_in_every_state(alice: Person) -> None:
    def shown(upload_id: str) -> UploadObject:
        return UploadObject.model_validate(alice.http.get(f"/uploads/{upload_id}").json())

    pending, cancelled, overdue, completed = begin(alice, 1), begin(alice, 1), begin(alice, 1), begin(alice, 1)
    assert shown(pending.id) == pending
    assert alice.openai.uploads.cancel(cancelled.id) == shown(cancelled.id)
    change(Upload, overdue.id, expires_at=utc_now() - timedelta(seconds=1))
    assert shown(overdue.id).status == "expired"
    whole = alice.openai.uploads.complete(completed.id, part_ids=send_parts(alice, completed.id, [b"x"]))
    assert shown(completed.id) == whole


def test_a_cancelled_upload_takes_no_parts_and_keeps_none(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    assert [alice.openai.uploads.cancel(upload.id).status for _ in range(2)] == ["cancelled", "cancelled"]
    for ended in (
        lambda: send_parts(alice, upload.id, [b"x"]),
        lambda: alice.openai.uploads.complete(upload.id, part_ids=sent),
    ):
        with refused(code="upload_not_pending", param="id"):
            ended()
    step(Upload, upload.id)
    assert (location.names(), ids(UploadPart)) == ([], [])


def test_requests_that_wait_for_one_row_leave_a_thread_to_the_one_that_holds_it(alice: Person) -> None:
    path = f"/uploads/{begin(alice).id}/cancel"
    with ThreadPoolExecutor(80) as pool:
        assert {answer.status for answer in pool.map(lambda _: send(alice, "POST", path), range(160))} == {200}


def test_a_completed_upload_cannot_be_cancelled(alice: Person) -> None:
    upload = begin(alice, 1)
    sent = send_parts(alice, upload.id, [b"x"])
    alice.openai.uploads.complete(upload.id, part_ids=sent)
    with refused(code="upload_not_pending", param="id"):
        alice.openai.uploads.cancel(upload.id)
    with refused(code="upload_not_pending", param="id"):
        send_parts(alice, upload.id, [b"x"])


def test_an_upload_expires_after_its_hour_and_leaves_nothing(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    step(Upload, upload.id)
    assert epoch(row(Upload, upload.id).due_at) == upload.expires_at
    assert len(location.names()) == len(sent)
    change(Upload, upload.id, expires_at=utc_now() - timedelta(seconds=1))
    for ended in (
        lambda: send_parts(alice, upload.id, [b"x"]),
        lambda: alice.openai.uploads.complete(upload.id, part_ids=sent),
        lambda: alice.openai.uploads.cancel(upload.id),
    ):
        with refused(code="upload_not_pending", param="id"):
            ended()
    work(2)
    assert (location.names(), ids(UploadPart)) == ([], [])
    assert (row(Upload, upload.id).status, row(Upload, upload.id).due_at) == (UploadStatus.EXPIRED, None)


def test_another_projects_upload_is_not_found(alice: Person, bob: Person) -> None:
    upload = begin(alice, 1)
    sent = send_parts(alice, upload.id, [b"x"])
    for ask in (
        lambda: send_parts(bob, upload.id, [b"x"]),
        lambda: bob.openai.uploads.complete(upload.id, part_ids=sent),
        lambda: bob.openai.uploads.cancel(upload.id),
    ):
        with pytest.raises(NotFoundError, match=f"No such Upload object: {upload.id}"):
            ask()
    own = begin(bob, 1)
    with refused(code="invalid_value", param="part_ids"):
        bob.openai.uploads.complete(own.id, part_ids=sent)


CREATE = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 1, "mime_type": "text/jsonl"}


WRONG: list[tuple[dict[str, Any], str, str | None]] = [
    ({"bytes": 0}, "invalid_value", "bytes"),
    ({"bytes": -1}, "invalid_value", "bytes"),
    ({"bytes": (8 << 30) + 1}, "file_too_large", "bytes"),
    ({"bytes": 10**30}, "invalid_value", "bytes"),
    ({"bytes": "1"}, "invalid_value", "bytes"),
    ({"bytes": True}, "invalid_value", "bytes"),
    ({"bytes": 1.5}, "invalid_value", "bytes"),
    ({"bytes": None}, "invalid_value", "bytes"),
    ({"purpose": "fun"}, "invalid_value", "purpose"),
    ({"purpose": "fine-tune-results"}, "invalid_value", "purpose"),
    ({"filename": "a\0b"}, "invalid_text", None),
    ({"filename": "a\ud800b"}, "invalid_text", None),
    ({"filename": ""}, "invalid_value", "filename"),
    ({"filename": "a/"}, "invalid_value", "filename"),
    ({"filename": "a" * 300}, "invalid_value", "filename"),
    ({"mime_type": "a" * 300}, "invalid_value", "mime_type"),
    ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"anchor": "now", "seconds": 3600}}, "invalid_value", "expires_after.anchor"),
    ({"colour": "red"}, "unknown_parameter", "colour"),
]


@pytest.mark.parametrize(("values", "code", "param"), WRONG, ids=lambda value: repr(value)[:40])
def test_a_wrong_upload_is_refused(alice: Person, values: dict[str, Any], code: str, param: str | None) -> None:
    answer = send(alice, "POST", "/uploads", json.dumps(CREATE | values).encode())
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert ids(Upload) == []


@pytest.mark.parametrize("field", CREATE)
def test_a_field_that_is_missing_is_named(alice: Person, field: str) -> None:
    body = {name: value for name, value in CREATE.items() if name != field}
    answer = send(alice, "POST", "/uploads", json.dumps(body).encode())
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "missing_required_parameter", field)


def test_eight_gigabytes_may_be_announced(alice: Person) -> None:
    assert begin(alice, 8 << 30).bytes == 8 << 30


def test_a_name_is_a_label_and_no_path(alice: Person) -> None:
    assert begin(alice, filename="../../etc/passwd").filename == "passwd"


def test_a_limit_is_a_setting(alice: Person) -> None:
    with settings(TUNERY_MAX_UPLOAD_BYTES="1000"):
        assert begin(alice, 1000).bytes == 1000
        with refused(code="file_too_large", param="bytes"):
            begin(alice, 1001)
