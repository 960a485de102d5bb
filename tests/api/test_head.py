"""HEAD: wherever GET is answered, with its status and headers, without a body, and without waiting for a stream."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from shared.database import transaction
from shared.projects import service as projects
from tests.api.module_person import alice
from tests.api.operations import Operation, operations
from tests.api.test_health import ask
from tests.api.test_webhook_endpoints import create
from tests.api.wire import TIMEOUT, send
from tests.owned_ids import create_upload
from tests.world import Person, lines

__all__ = ["alice"]

STREAM = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def ids(alice: Person) -> Mapping[str, str]:
    """Alice's ids, by the name of the parameter that takes them."""
    file_id = alice.upload(lines())
    return {
        "file_id": file_id,
        "dataset_id": file_id,
        "fine_tuning_job_id": alice.create_job(training_file=file_id),
        "webhook_endpoint_id": create(alice).id,
        "upload_id": create_upload(alice),
        "project_id": alice.project_id,
        "model": "gpt-4o-mini",
    }


@pytest.fixture(scope="module")
def admin_key(alice: Person) -> str:
    with transaction() as session:
        return projects.create_api_key(session, None, "operator")[1]


def head(person: Person, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Send HEAD and read all that comes until the server closes: a client of HTTP would not show us a body."""
    parts = urlsplit(person.base_url)
    fields = {"host": parts.netloc, "connection": "close", "authorization": f"Bearer {person.api_key}", **headers}
    request = f"HEAD {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=TIMEOUT) as connection:
        connection.sendall(request.encode())
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    start, _, body = received.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    return int(status.split()[1]), {n.lower(): v for n, _, v in (each.partition(": ") for each in lines)}, body


def constant(headers: Mapping[str, str]) -> dict[str, str]:
    varying = ("date", "x-request-id", "connection", "x-ratelimit", "etag", "transfer-encoding")
    return {name: value for name, value in headers.items() if not name.startswith(varying)}


def all_gets(server: str) -> list[Operation]:
    return [each for each in operations(ask(server, "/openapi.json").json) if each.method == "GET"]


def test_every_get_is_answered_to_head_without_a_body(
    server: str, alice: Person, admin_key: str, ids: Mapping[str, str]
) -> None:
    found = all_gets(server)
    assert len(found) > 40
    for each in found:
        headers = {"authorization": f"Bearer {admin_key}"} if each.is_for_admins else {}
        get = send(alice, "GET", each.address(ids), headers=headers)
        status, headers_of_head, body = head(alice, f"/v1{each.address(ids)}", headers)
        assert (status, body) == (get.status, b""), each.name
        assert constant(headers_of_head) == constant(get.headers), each.name


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/docs", "/openapi.json", "/v1/nothing", "/v1/files/?limit=1", "/openai/v1/files"]
)
def test_head_is_answered_as_get(alice: Person, path: str) -> None:
    root = Person(alice.base_url.removesuffix("/v1"), alice.api_key, alice.project_id)
    get = send(root, "GET", path)
    status, headers, body = head(alice, path, {})
    assert (status, body, constant(headers)) == (get.status, b"", constant(get.headers))


def test_head_of_every_stream_ends_at_once(server: str, alice: Person, ids: Mapping[str, str]) -> None:
    streams = [each.address(ids) for each in all_gets(server) if each.path.endswith("events")]
    answers = {path: head(alice, f"/v1{path}", STREAM) for path in streams}
    assert len(answers) == 2
    for path, (status, headers, body) in answers.items():
        assert (status, body) == (200, b""), path
        assert headers["content-type"].startswith("text/event-stream"), path


def test_head_of_a_file_says_its_length(alice: Person, ids: Mapping[str, str]) -> None:
    status, headers, body = head(alice, f"/v1/files/{ids['file_id']}/content", {})
    assert (status, headers["content-length"], body) == (200, str(len(lines())), b"")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/files", {"authorization": ""}, 401),
        ("/files?colour=red", {}, 400),
        ("/files/file-never", {}, 404),
        ("/chat/completions", {}, 405),
    ],
)
def test_head_is_refused_as_get(alice: Person, path: str, headers: dict[str, str], status: int) -> None:
    answered, _, body = head(alice, f"/v1{path}", headers)
    assert (answered, body) == (status, b"")
