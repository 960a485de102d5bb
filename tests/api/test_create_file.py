"""POST /v1/files."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import BadRequestError
from sqlmodel import func, select

from shared.database import transaction
from shared.datasets.models import Dataset
from shared.db.times import epoch
from shared.settings import get_settings
from tests.api.wire import BOUNDARY, END, MULTIPART, form, open_upload, part, post_form
from tests.world import Person, lines, row, work

PATIENCE = 60.0
FILE = part("file", lines(), "train.jsonl")
PURPOSE = part("purpose", b"fine-tune")


def kept() -> tuple[int, list[str]]:
    """How many rows there are, and which files lie in the storage folder."""
    with transaction() as session:
        rows = session.exec(select(func.count()).select_from(Dataset)).one()
    folder = Path(get_settings().storage)
    return rows, sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def nothing_stays(alice: Person) -> Iterator[None]:
    """Whatever the test uploads: afterwards there is no row and no byte that was not there before."""
    _, before = kept()
    yield
    assert kept() == (0, before)


def eventually(what: Callable[[], bool]) -> bool:
    """Whether it becomes so while another thread works on it."""
    deadline = time.monotonic() + PATIENCE
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    return what()


def test_a_file_is_described_as_openai_does(alice: Person) -> None:
    file = alice.openai.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    assert file.id.startswith("file-")
    assert (file.object, file.bytes, file.filename) == ("file", len(lines()), "train.jsonl")
    assert (file.purpose, file.status) == ("fine-tune", "uploaded")
    assert abs(file.created_at - time.time()) < 60
    assert file.model_fields_set.isdisjoint({"expires_at", "status_details"})


def test_a_file_for_tuning_is_checked_and_processed(alice: Person) -> None:
    file_id = alice.upload()
    work()
    assert alice.openai.files.wait_for_processing(file_id).status == "processed"


def test_a_bad_file_says_where_it_is_bad(alice: Person) -> None:
    file_id = alice.upload(lines(12) + b'{"messages": []}\n')
    work()
    file = alice.openai.files.retrieve(file_id)
    assert file.status == "error"
    assert "Line 13" in (file.status_details or "")


@pytest.mark.parametrize("purpose", ["assistants", "batch", "vision", "user_data", "evals"])
def test_a_file_for_anything_else_is_kept_unread(alice: Person, purpose: str) -> None:
    answer = post_form(alice, form(part("purpose", purpose.encode()), part("file", b"\0no JSON", "notes.bin")))
    assert answer.status == 200
    assert (answer.json["purpose"], answer.json["status"]) == (purpose, "processed")
    assert row(Dataset, answer.json["id"]).due_at is None


def test_the_fields_may_come_in_any_order(alice: Person) -> None:
    assert post_form(alice, form(FILE, PURPOSE)).status == 200


def test_a_file_expires_so_many_seconds_after_its_creation(alice: Person) -> None:
    file = alice.openai.files.create(
        file=("train.jsonl", lines()), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == file.created_at + 3600
    assert epoch(row(Dataset, file.id).due_at) == file.expires_at


@pytest.mark.parametrize("seconds", [3599, 2_592_001, -1])
def test_a_file_cannot_expire_too_soon_or_too_late(alice: Person, nothing_stays: None, seconds: int) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.files.create(
            file=("a", lines()), purpose="batch", expires_after={"anchor": "created_at", "seconds": seconds}
        )
    assert refused.value.param == "expires_after"


@pytest.mark.parametrize(("given", "kept_as"), [("../../etc/passwd", "passwd"), ("C:\\a\\b.jsonl", "b.jsonl")])
def test_a_name_is_a_label_and_no_path(alice: Person, given: str, kept_as: str) -> None:
    file = alice.openai.files.create(file=(given, lines()), purpose="fine-tune")
    assert file.filename == kept_as
    assert file.id in kept()[1]


BROKEN = {
    "no boundary": ("multipart/form-data", form(PURPOSE, FILE), "invalid_multipart", "file"),
    "an empty boundary": ("multipart/form-data; boundary=", form(PURPOSE, FILE), "invalid_multipart", "file"),
    "another boundary": ("multipart/form-data; boundary=b", form(PURPOSE, FILE), "invalid_multipart", None),
    "no multipart at all": ("application/json", b'{"purpose": "fine-tune"}', "invalid_multipart", "file"),
    "nothing": (MULTIPART, b"", "invalid_multipart", None),
    "no line before the parts": (MULTIPART, b"purpose=fine-tune", "invalid_multipart", None),
    "cut in the file": (MULTIPART, PURPOSE + FILE[:-20], "invalid_multipart", None),
    "cut before the last boundary": (MULTIPART, PURPOSE + FILE, "invalid_multipart", None),
    "cut in the last boundary": (MULTIPART, PURPOSE + FILE + END[:-6], "invalid_multipart", None),
    "cut in a header": (MULTIPART, (PURPOSE + FILE)[:80], "invalid_multipart", None),
    "a header without an end": (MULTIPART, f"--{BOUNDARY}\r\n".encode() + b"a" * 9000, "invalid_multipart", None),
    "twenty headers": (
        MULTIPART,
        f"--{BOUNDARY}\r\n".encode() + b"a: b\r\n" * 20 + b"\r\n" + END,
        "invalid_multipart",
        None,
    ),
    "two files": (MULTIPART, form(PURPOSE, FILE, FILE), "invalid_value", "file"),
    "no file": (MULTIPART, form(PURPOSE), "missing_required_parameter", "file"),
    "a file without a name": (MULTIPART, form(PURPOSE, part("file", lines(), "")), "invalid_value", "file"),
    "a file as a text": (MULTIPART, form(PURPOSE, part("file", lines())), "invalid_value", "file"),
    "an empty file": (MULTIPART, form(PURPOSE, part("file", b"", "a.jsonl")), "empty_file", "file"),
    "no purpose": (MULTIPART, form(FILE), "missing_required_parameter", "purpose"),
    "an unknown purpose": (MULTIPART, form(part("purpose", b"fun"), FILE), "invalid_value", "purpose"),
    "a purpose of ours": (MULTIPART, form(part("purpose", b"fine-tune-results"), FILE), "invalid_value", "purpose"),
    "an unknown field": (MULTIPART, form(PURPOSE, part("colour", b"red"), FILE), "unknown_parameter", "colour"),
    "a second file under another name": (
        MULTIPART,
        form(PURPOSE, FILE, part("more", lines(), "b.jsonl")),
        "unknown_parameter",
        "more",
    ),
    "a purpose of 5,000 letters": (MULTIPART, form(part("purpose", b"a" * 5000), FILE), "invalid_value", "purpose"),
    "twenty fields": (
        MULTIPART,
        form(*(part(f"field{number}", b"x") for number in range(20)), PURPOSE, FILE),
        "unknown_parameter",
        None,
    ),
    "an anchor without seconds": (
        MULTIPART,
        form(PURPOSE, part("expires_after[anchor]", b"created_at"), FILE),
        "invalid_value",
        "expires_after",
    ),
}


@pytest.mark.parametrize(("kind", "body", "code", "param"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_upload_leaves_nothing(
    alice: Person, nothing_stays: None, kind: str, body: bytes, code: str, param: str | None
) -> None:
    answer = post_form(alice, body, kind)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)


def test_a_file_that_says_it_is_too_large_is_not_read(alice: Person, nothing_stays: None) -> None:
    with open_upload(alice, declared=50 << 30) as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"error":' in answer


def test_a_file_that_says_nothing_is_counted(frugal: Person, nothing_stays: None) -> None:
    content = (b"x" * 10_000 for _ in range(12))
    answer = post_form(frugal, iter([PURPOSE, part("file", b"", "a.jsonl")[:-2], *content]))
    assert (answer.status, answer.error["code"]) == (413, "file_too_large")


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (100_001, 413)])
def test_the_limit_is_the_files_and_not_the_forms(frugal: Person, size: int, status: int) -> None:
    assert post_form(frugal, form(PURPOSE, part("file", b"x" * size, "a.jsonl"))).status == status


def test_a_client_who_goes_away_leaves_nothing(alice: Person, nothing_stays: None) -> None:
    _, before = kept()
    with open_upload(alice, declared=10 << 20) as connection:
        connection.sendall(PURPOSE + part("file", b"", "a.jsonl")[:-2] + b"x" * (3 << 20))
        assert eventually(lambda: kept()[1] != before), "the upload did not begin"
    assert eventually(lambda: kept()[1] == before)


def test_a_wrong_key_is_told_before_the_body_is_read(alice: Person, nothing_stays: None) -> None:
    with open_upload(alice, declared=1 << 30, key="sk-tun-wrong") as connection:
        head = connection.recv(65536).decode()
        assert head.startswith("HTTP/1.1 401 ")
        assert "connection: close" in head.lower()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(b"x" * (64 << 20))


def test_the_bytes_are_kept_as_they_came(alice: Person) -> None:
    content = bytes(range(256)) * 5000 + f"\r\n--{BOUNDARY[:-1]}\r\n".encode() + b"\r\n--"
    file = alice.openai.files.create(file=("a.bin", content), purpose="user_data")
    assert alice.openai.files.content(file.id).read() == content
