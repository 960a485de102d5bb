"""/v1/uploads/{id}/parts: each part is received once and within what was declared; broken ones leave nothing."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from openai import BadRequestError

from shared.datasets import uploads
from shared.datasets.models import Upload, UploadPart
from shared.settings import get_settings
from tests.api.conftest import serving_under
from tests.api.test_create_file import eventually
from tests.api.uploading import DATA, begin, content, cut, post_part, refused, send_parts
from tests.api.wire import MULTIPART, facts, form, open_upload, part
from tests.storage_locations import StorageLocation
from tests.worker.support import ids, settings
from tests.world import Person, row, work


def test_a_part_is_described_as_openai_does(alice: Person) -> None:
    upload = begin(alice)
    made = alice.openai.uploads.parts.create(upload.id, data=b"x")
    assert made.id.startswith("part_")
    assert (made.object, made.upload_id) == ("upload.part", upload.id)
    assert abs(made.created_at - time.time()) < 60


def test_parts_may_come_at_once_and_in_any_order(alice: Person, location: StorageLocation) -> None:
    upload, parts = begin(alice), cut(DATA)
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda each: send_parts(alice, upload.id, [each])[0], reversed(parts)))
    file = alice.openai.uploads.complete(upload.id, part_ids=sent[::-1]).file
    assert file
    assert content(alice, file.id) == DATA


def test_a_part_that_is_sent_again_is_the_one_that_is_here(alice: Person, location: StorageLocation) -> None:
    upload, parts = begin(alice), cut(DATA)
    sent = send_parts(alice, upload.id, [parts[0], *parts])
    assert (sent[0], len(set(sent))) == (sent[1], len(parts))
    file = alice.openai.uploads.complete(upload.id, part_ids=sent[1:]).file
    work(2)
    assert file
    assert content(alice, file.id) == DATA
    assert ids(UploadPart) == sorted(sent[1:])
    assert location.names() == sorted([f"{file.id}.parts", *sent[1:]])
    assert row(Upload, upload.id).due_at is None


def test_more_than_was_declared_is_not_taken(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice, 1000)
    sent = send_parts(alice, upload.id, [b"a" * 600])
    with pytest.raises(BadRequestError) as error:
        alice.openai.uploads.parts.create(upload.id, data=b"b" * 401)
    assert facts(error.value) == (400, "size_mismatch", "data")
    for number in ("401 bytes", "created for 1000 bytes", "600 have been received", "only 400 are left"):
        assert number in error.value.message
    assert (ids(UploadPart), location.names()) == (sent, sent)
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
    monkeypatch.setattr(uploads, "MAX_PARTS_PER_UPLOAD", 2)
    upload = begin(alice)
    sent = send_parts(alice, upload.id, [b"a", b"b"])
    with refused(code="invalid_value", param="data"):
        send_parts(alice, upload.id, [b"c"])
    assert ids(UploadPart) == sent


def test_the_parts_of_an_upload_are_listed_with_size_and_hash(alice: Person) -> None:
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


def test_a_part_whose_upload_ends_while_it_comes_in_is_not_kept(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice)
    whole = form(part("data", b"x" * 100_000, "a"))

    def halves() -> Iterator[bytes]:
        yield whole[:50_000]
        alice.openai.uploads.cancel(upload.id)
        yield whole[50_000:]

    answer = post_part(alice, upload.id, halves())
    assert (answer.status, answer.error["code"]) == (400, "upload_not_pending")
    assert (location.names(), ids(UploadPart)) == ([], [])


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
    alice: Person, location: StorageLocation, kind: str, body: bytes, code: str, param: str | None
) -> None:
    answer = post_part(alice, begin(alice).id, body, kind)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert (location.names(), ids(UploadPart)) == ([], [])


def test_a_part_that_says_it_is_too_large_is_not_read(alice: Person, location: StorageLocation) -> None:
    path = f"/uploads/{begin(alice).id}/parts"
    with open_upload(alice, declared=66 << 20, path=path) as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert location.names() == []


def test_a_part_that_says_nothing_of_its_size_is_counted(alice: Person, location: StorageLocation) -> None:
    with settings(TUNERY_STORAGE=location.setting, TUNERY_MAX_PART_BYTES="100000"):
        chunks = iter([part("data", b"", "a")[:-2], *(b"x" * 10_000 for _ in range(12))])
        answer = post_part(alice, begin(alice).id, chunks)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (413, "file_too_large", "data")
    assert location.names() == []


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (100_001, 413)])
def test_the_limit_is_the_parts_and_not_the_forms(alice: Person, size: int, status: int) -> None:
    with settings(TUNERY_MAX_PART_BYTES="100000"):
        assert post_part(alice, begin(alice, size).id, form(part("data", b"x" * size, "a"))).status == status


@pytest.mark.parametrize(("key", "upload_id", "status"), [("sk-tun-wrong", None, 401), (None, "upload_never", 404)])
def test_a_part_that_may_not_be_sent_is_refused_before_it_is_read(
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
