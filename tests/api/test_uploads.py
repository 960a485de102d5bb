"""/v1/uploads: files in parts."""

import io
import json
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, InternalServerError, NotFoundError
from openai.types import Upload as UploadObject
from sqlalchemy import text

from shared.database import transaction
from shared.datasets import uploads
from shared.datasets.models import Dataset, ProviderFile, Upload, UploadPart, UploadStatus
from shared.db.times import epoch, utc_now
from shared.settings import get_settings
from tests.api.conftest import serving_under
from tests.api.test_create_file import eventually
from tests.api.wire import MULTIPART, Answer, facts, form, open_upload, part, send
from tests.places import Place, variables
from tests.servers import free_port
from tests.worker.levers import change, ids, settings
from tests.world import Person, Sandbox, environment, lines, row, step, work, work_until_created

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


def test_an_upload_is_described_as_openai_does(alice: Person) -> None:
    upload = begin(alice)
    assert upload.id.startswith("upload_")
    assert (upload.object, upload.bytes, upload.filename) == ("upload", len(DATA), "train.jsonl")
    assert (upload.purpose, upload.status) == ("fine-tune", "pending")
    assert abs(upload.created_at - time.time()) < 60
    assert upload.expires_at == upload.created_at + 3600
    assert "file" not in upload.model_fields_set


def test_a_part_is_described_as_openai_does(alice: Person) -> None:
    upload = begin(alice)
    made = alice.openai.uploads.parts.create(upload.id, data=b"x")
    assert made.id.startswith("part_")
    assert (made.object, made.upload_id) == ("upload.part", upload.id)
    assert abs(made.created_at - time.time()) < 60


def test_the_sdks_own_way_gives_the_file_that_one_request_would(alice: Person, place: Place) -> None:
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


def test_a_file_of_one_part_is_right_too(alice: Person, place: Place) -> None:
    upload = alice.openai.uploads.upload_file_chunked(
        file=DATA, filename="a", bytes=len(DATA), mime_type="text/jsonl", purpose="fine-tune"
    )
    assert upload.file
    assert row(Dataset, upload.file.id).sha256 == sha256(DATA).hexdigest()
    assert content(alice, upload.file.id) == DATA


def test_parts_may_come_at_once_and_in_any_order(alice: Person, place: Place) -> None:
    upload, parts = begin(alice), cut(DATA)
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda each: send_parts(alice, upload.id, [each])[0], reversed(parts)))
    file = alice.openai.uploads.complete(upload.id, part_ids=sent[::-1]).file
    assert file
    assert content(alice, file.id) == DATA


def test_a_part_that_is_sent_again_is_the_one_that_is_here(alice: Person, place: Place) -> None:
    upload, parts = begin(alice), cut(DATA)
    sent = send_parts(alice, upload.id, [parts[0], *parts])
    assert (sent[0], len(set(sent))) == (sent[1], len(parts))
    file = alice.openai.uploads.complete(upload.id, part_ids=sent[1:]).file
    work(2)
    assert file
    assert content(alice, file.id) == DATA
    assert ids(UploadPart) == sorted(sent[1:])
    assert place.names() == sorted([f"{file.id}.parts", *sent[1:]])
    assert row(Upload, upload.id).due_at is None


def test_a_file_that_repeats_itself_names_a_part_as_often(alice: Person, place: Place) -> None:
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
    assert place.names() == []


def test_more_than_was_declared_is_not_taken(alice: Person, place: Place) -> None:
    upload = begin(alice, 1000)
    sent = send_parts(alice, upload.id, [b"a" * 600])
    with pytest.raises(BadRequestError) as error:
        alice.openai.uploads.parts.create(upload.id, data=b"b" * 401)
    assert facts(error.value) == (400, "size_mismatch", "data")
    for number in ("401 bytes", "the 1000 that were declared", "600 have been received", "400 can still come"):
        assert number in error.value.message
    assert (ids(UploadPart), place.names()) == (sent, sent)
    last = send_parts(alice, upload.id, [b"b" * 400])
    assert alice.openai.uploads.complete(upload.id, part_ids=sent + last).status == "completed"


def test_of_many_parts_at_once_no_more_are_kept_than_were_declared(alice: Person) -> None:
    folder = Path(get_settings().storage)
    upload, before = begin(alice, 1000), set(folder.iterdir()) if folder.exists() else set()

    def send_one(number: int) -> int:
        return post_part(alice, upload.id, form(part("data", b"%0100d" % number, "a"))).status

    with ThreadPoolExecutor(64) as pool:
        statuses = list(pool.map(send_one, range(64)))
    assert sorted(statuses) == [200] * 10 + [400] * 54
    assert {path.name for path in set(folder.iterdir()) - before} == set(ids(UploadPart))
    assert len(ids(UploadPart)) == 10


def test_an_upload_has_so_many_parts_and_no_more(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_PARTS", 2)
    upload = begin(alice)
    sent = send_parts(alice, upload.id, [b"a", b"b"])
    with refused(code="invalid_value", param="data"):
        send_parts(alice, upload.id, [b"c"])
    assert ids(UploadPart) == sent


def test_who_lost_the_part_ids_finds_them_again(alice: Person) -> None:
    upload, parts = begin(alice), cut(DATA)
    sent = send_parts(alice, upload.id, parts)
    first = alice.http.get(f"/uploads/{upload.id}/parts?limit=2").json()
    rest = alice.http.get(f"/uploads/{upload.id}/parts?after={first['last_id']}").json()
    assert (first["has_more"], rest["has_more"]) == (True, False)
    listed = first["data"] + rest["data"]
    assert [each["id"] for each in listed] == sent
    assert [(each["bytes"], each["sha256"]) for each in listed] == [(len(e), sha256(e).hexdigest()) for e in parts]
    assert listed[0] == {**alice.openai.uploads.parts.create(upload.id, data=parts[0]).to_dict()}
    assert alice.http.get(f"/uploads/{upload.id}/parts?after=part_never").json()["error"]["param"] == "after"


def test_an_upload_can_be_looked_at_in_every_state(alice: Person) -> None:
    def shown(upload_id: str) -> UploadObject:
        return UploadObject.model_validate(alice.http.get(f"/uploads/{upload_id}").json())

    pending, cancelled, overdue, completed = begin(alice, 1), begin(alice, 1), begin(alice, 1), begin(alice, 1)
    assert shown(pending.id) == pending
    assert alice.openai.uploads.cancel(cancelled.id) == shown(cancelled.id)
    change(Upload, overdue.id, expires_at=utc_now() - timedelta(seconds=1))
    assert shown(overdue.id).status == "expired"
    whole = alice.openai.uploads.complete(completed.id, part_ids=send_parts(alice, completed.id, [b"x"]))
    assert shown(completed.id) == whole


def test_bytes_stay_while_nobody_knows_whether_their_row_is_there(alice: Person, place: Place) -> None:
    upload = begin(alice)
    with hanging_up("upload_parts"), refused(503, "database_unavailable"):
        alice.openai.uploads.parts.create(upload.id, data=b"x")
    assert (ids(UploadPart), len(place.names())) == ([], 1)  # the sweep removes them if there is no row in an hour


@contextmanager
def hanging_up(table: str) -> Iterator[None]:
    """Postgres hangs up at the commit of a row of this table."""
    with transaction() as session:
        session.execute(
            text(
                "create function hang_up() returns trigger language plpgsql security definer as"
                " $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$"
            )
        )
        session.execute(
            text(
                f"create constraint trigger hang_up after insert on {table} deferrable initially deferred"
                " for each row execute function hang_up()"
            )
        )
    try:
        yield
    finally:
        with transaction() as session:
            session.execute(text("drop function hang_up cascade"))


def test_nothing_is_left_of_a_deleted_file(alice: Person, place: Place) -> None:
    upload = begin(alice)
    file = alice.openai.uploads.complete(upload.id, part_ids=send_parts(alice, upload.id, cut(DATA))).file
    assert file
    alice.openai.files.delete(file.id)
    work(2)
    assert place.names() == []
    assert "file" not in alice.openai.uploads.complete(upload.id, part_ids=row(Upload, upload.id).part_ids).to_dict()


def test_a_file_of_parts_reaches_the_provider(alice: Person, sandbox: Sandbox, place: Place) -> None:
    upload = begin(alice)
    file = alice.openai.uploads.complete(upload.id, part_ids=send_parts(alice, upload.id, cut(DATA))).file
    assert file
    work_until_created(alice.create_job(training_file=file.id))
    assert sandbox.openai.files.content(sandbox.files()[0].id).read() == DATA
    assert row(ProviderFile, ids(ProviderFile)[0]).dataset_id == file.id


@pytest.mark.parametrize("upper", [False, True])
def test_a_right_md5_is_taken(alice: Person, place: Place, upper: bool) -> None:
    upload, digest = begin(alice), md5(DATA, usedforsecurity=False).hexdigest()
    sent = send_parts(alice, upload.id, cut(DATA))
    completed = alice.openai.uploads.complete(upload.id, part_ids=sent, md5=digest.upper() if upper else digest)
    assert completed.status == "completed"


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_md5_is_told_and_the_parts_stay(alice: Person, place: Place, count: int) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA, -(-len(DATA) // count)))
    before = place.names()
    with refused(code="md5_mismatch", param="md5"):
        alice.openai.uploads.complete(upload.id, part_ids=sent, md5="0" * 32)
    assert (ids(Dataset), place.names()) == ([], before)
    assert alice.openai.uploads.complete(upload.id, part_ids=sent).status == "completed"


def test_a_wrong_size_is_told_when_all_parts_are_there(alice: Person) -> None:
    declared = len(DATA) + 1
    upload = begin(alice, declared)
    sent = send_parts(alice, upload.id, cut(DATA))
    with pytest.raises(BadRequestError) as error:
        alice.openai.uploads.complete(upload.id, part_ids=sent)
    assert facts(error.value) == (400, "size_mismatch", "part_ids")
    assert f"{len(DATA)} bytes" in error.value.message
    assert f"{declared} were declared" in error.value.message
    assert ids(Dataset) == []


def test_the_parts_must_be_this_uploads_and_none_in_the_place_of_another(alice: Person) -> None:
    upload, other = begin(alice, 2), begin(alice, 2)
    [mine, last], [others] = send_parts(alice, upload.id, [b"a", b"c"]), send_parts(alice, other.id, [b"b"])
    for part_ids in ([mine, others], [mine, "part_never"], [mine, mine], [last, last], [mine, ""]):
        with refused(code="invalid_value", param="part_ids"):
            alice.openai.uploads.complete(upload.id, part_ids=part_ids)


def test_who_lost_the_answer_may_complete_again(alice: Person) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    first, second = (alice.openai.uploads.complete(upload.id, part_ids=sent) for _ in range(2))
    assert first == second
    with refused(code="upload_not_pending", param="id"):
        alice.openai.uploads.complete(upload.id, part_ids=sent[::-1])
    assert len(ids(Dataset)) == 1


def test_completed_many_times_at_once_it_becomes_one_file(alice: Person, place: Place) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    with ThreadPoolExecutor(6) as pool:
        completed = list(pool.map(lambda _: alice.openai.uploads.complete(upload.id, part_ids=sent), range(6)))
    assert {each.file.id for each in completed if each.file} == set(ids(Dataset))
    assert place.names() == sorted([f"{ids(Dataset)[0]}.parts", *sent])


def test_a_cancelled_upload_takes_no_parts_and_keeps_none(alice: Person, place: Place) -> None:
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
    assert (place.names(), ids(UploadPart)) == ([], [])


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


def test_an_upload_expires_after_its_hour_and_leaves_nothing(alice: Person, place: Place) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    step(Upload, upload.id)
    assert epoch(row(Upload, upload.id).due_at) == upload.expires_at
    assert len(place.names()) == len(sent)
    change(Upload, upload.id, expires_at=utc_now() - timedelta(seconds=1))
    for ended in (
        lambda: send_parts(alice, upload.id, [b"x"]),
        lambda: alice.openai.uploads.complete(upload.id, part_ids=sent),
        lambda: alice.openai.uploads.cancel(upload.id),
    ):
        with refused(code="upload_not_pending", param="id"):
            ended()
    work(2)
    assert (place.names(), ids(UploadPart)) == ([], [])
    assert (row(Upload, upload.id).status, row(Upload, upload.id).due_at) == (UploadStatus.EXPIRED, None)


def test_a_file_expires_after_the_time_that_its_upload_said(alice: Person) -> None:
    upload = begin(alice, 1, expires_after={"anchor": "created_at", "seconds": 3600})
    file = alice.openai.uploads.complete(upload.id, part_ids=send_parts(alice, upload.id, [b"x"])).file
    assert file
    assert file.expires_at == file.created_at + 3600


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
def test_an_order_that_makes_no_sense_is_refused(alice: Person, order: dict[str, Any], param: str | None) -> None:
    answer = send(alice, "POST", f"/uploads/{begin(alice).id}/complete", json.dumps(order).encode())
    assert (answer.status, answer.error["param"]) == (400, param)


def post_part(person: Person, upload_id: str, body: Any, kind: str = MULTIPART, **headers: str) -> Answer:
    return send(person, "POST", f"/uploads/{upload_id}/parts", body, {"content-type": kind, **headers})


BROKEN = {
    "no multipart": ("application/octet-stream", b"x", "invalid_multipart", "data"),
    "nothing": (MULTIPART, b"", "invalid_multipart", None),
    "no data": (MULTIPART, form(), "missing_required_parameter", "data"),
    "the field of a file": (MULTIPART, form(part("file", b"x", "a")), "missing_required_parameter", "data"),
    "data as a text": (MULTIPART, form(part("data", b"x")), "invalid_value", "data"),
    "empty data": (MULTIPART, form(part("data", b"", "a")), "empty_file", "data"),
    "two parts": (MULTIPART, form(part("data", b"x", "a"), part("data", b"x", "a")), "invalid_value", "data"),
    "another field": (MULTIPART, form(part("data", b"x", "a"), part("more", b"x")), "unknown_parameter", "more"),
    "cut off": (MULTIPART, part("data", b"x", "a"), "invalid_multipart", None),
}


@pytest.mark.parametrize(("kind", "body", "code", "param"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_part_leaves_nothing(
    alice: Person, place: Place, kind: str, body: bytes, code: str, param: str | None
) -> None:
    answer = post_part(alice, begin(alice).id, body, kind)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert (place.names(), ids(UploadPart)) == ([], [])


def test_a_part_that_says_it_is_too_large_is_not_read(alice: Person, place: Place) -> None:
    path = f"/uploads/{begin(alice).id}/parts"
    with open_upload(alice, declared=66 << 20, path=path) as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert place.names() == []


def test_a_part_that_says_nothing_of_its_size_is_counted(alice: Person, place: Place) -> None:
    with settings(TUNERY_STORAGE=place.setting, TUNERY_MAX_PART_BYTES="100000"):
        chunks = iter([part("data", b"", "a")[:-2], *(b"x" * 10_000 for _ in range(12))])
        answer = post_part(alice, begin(alice).id, chunks)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (413, "file_too_large", "data")
    assert place.names() == []


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (100_001, 413)])
def test_the_limit_is_the_parts_and_not_the_forms(alice: Person, size: int, status: int) -> None:
    with settings(TUNERY_MAX_PART_BYTES="100000"):
        assert post_part(alice, begin(alice, size).id, form(part("data", b"x" * size, "a"))).status == status


def test_a_limit_is_a_setting(alice: Person) -> None:
    with settings(TUNERY_MAX_UPLOAD_BYTES="1000"):
        assert begin(alice, 1000).bytes == 1000
        with refused(code="file_too_large", param="bytes"):
            begin(alice, 1001)


@pytest.mark.parametrize(("key", "upload_id", "status"), [("sk-tun-wrong", None, 401), (None, "upload_never", 404)])
def test_who_may_not_send_a_part_is_told_before_it_is_read(
    alice: Person, key: str | None, upload_id: str | None, status: int
) -> None:
    path = f"/uploads/{upload_id or begin(alice).id}/parts"
    with open_upload(alice, declared=60 << 20, key=key, path=path) as connection:
        head = connection.recv(65536).decode()
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert "connection: close" in head.lower()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(b"x" * (60 << 20))


def test_a_client_who_goes_away_leaves_nothing(alice: Person) -> None:
    folder = Path(get_settings().storage)
    before = set(folder.iterdir()) if folder.exists() else set()
    path = f"/uploads/{begin(alice).id}/parts"
    with open_upload(alice, declared=10 << 20, path=path) as connection:
        connection.sendall(part("data", b"", "a")[:-2] + b"x" * (3 << 20))
        assert eventually(lambda: set(folder.iterdir()) != before), "the part did not begin"
    assert eventually(lambda: set(folder.iterdir()) == before)
    assert ids(UploadPart) == []


def test_a_part_whose_upload_ends_while_it_comes_in_is_not_kept(alice: Person, place: Place) -> None:
    upload = begin(alice)
    whole = form(part("data", b"x" * 100_000, "a"))

    def halves() -> Iterator[bytes]:
        yield whole[:50_000]
        alice.openai.uploads.cancel(upload.id)
        yield whole[50_000:]

    answer = post_part(alice, upload.id, halves())
    assert (answer.status, answer.error["code"]) == (400, "upload_not_pending")
    assert (place.names(), ids(UploadPart)) == ([], [])


def test_parts_outlive_a_restart_of_the_api(alice: Person) -> None:
    upload, parts = begin(alice), cut(DATA)
    sent = []
    for half in (parts[:1], parts[1:]):
        with serving_under() as address:
            person = Person(address, alice.api_key, alice.project_id)
            sent += send_parts(person, upload.id, half)
            person.close()
    file = alice.openai.uploads.complete(upload.id, part_ids=sent).file
    assert file
    assert content(alice, file.id) == DATA


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def bucket_away(server: str, tmp_path: Path) -> Iterator[None]:
    with (
        environment(variables(f"http://127.0.0.1:{free_port()}")),
        settings(TUNERY_STORAGE=f"s3://away/{tmp_path.name}"),
    ):
        yield


@pytest.mark.parametrize("trouble", ["full_disk", "bucket_away"])
def test_bytes_that_cannot_be_stored_are_our_fault_and_leave_nothing(
    alice: Person, request: pytest.FixtureRequest, trouble: str
) -> None:
    upload, large = begin(alice, 3 << 20), b"x" * (3 << 20)
    folder = Path(get_settings().storage)
    before = set(folder.iterdir()) if folder.exists() else set()
    request.getfixturevalue(trouble)
    with refused(503, "storage_unavailable"):
        alice.openai.uploads.parts.create(upload.id, data=large)
    with refused(503, "storage_unavailable"):
        alice.openai.files.create(file=("a", large), purpose="fine-tune")
    assert (ids(UploadPart), ids(Dataset)) == ([], [])
    assert before == (set(folder.iterdir()) if folder.exists() else set())


def test_a_bucket_that_is_away_for_a_while_loses_nothing(
    alice: Person, request: pytest.FixtureRequest, place: Place
) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    away = request.getfixturevalue("bucket_away")
    assert away is None
    with pytest.raises(InternalServerError):
        alice.openai.uploads.complete(upload.id, part_ids=sent)
    with settings(TUNERY_STORAGE=place.setting):
        file = alice.openai.uploads.complete(upload.id, part_ids=sent).file
    assert file
    with refused(503, "storage_unavailable"):
        content(alice, file.id)
    work(3)
    assert row(Dataset, file.id).status == "uploaded"
    assert row(Dataset, file.id).failures == 0
    with settings(TUNERY_STORAGE=place.setting):
        work()
    assert row(Dataset, file.id).status == "processed"


def test_the_same_file_twice_is_two_files(alice: Person, place: Place) -> None:
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
