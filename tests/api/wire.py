"""Sends raw HTTP, as the SDK never would, and checks what every error must have."""

import json
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from openai import APIStatusError

from tests.world import Person

TIMEOUT = 60.0
BOUNDARY = "the-boundary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """Return the error after checking that OpenAI's envelope is complete."""
        body = self.json
        assert body.keys() == {"error"}
        error: dict[str, Any] = body["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["message"]
        assert error["type"] in {"invalid_request_error", "server_error"}
        assert error["code"]
        assert error["param"] is None or isinstance(error["param"], str)
        assert self.headers["x-request-id"]
        assert self.headers["content-type"] == "application/json"
        return error


def send(
    person: Person,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request with a person's key on a new connection. The path is below /v1 and is sent unchanged."""
    parts = urlsplit(person.base_url)
    connection = HTTPConnection(parts.netloc, timeout=TIMEOUT)
    sent = {"authorization": f"Bearer {person.api_key}", "content-type": "application/json", **(headers or {})}
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may be refused before all of it is sent
            connection.request(method, parts.path + path, body=body, headers=sent)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """One part of a multipart form, with the boundary before it."""
    label = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{label}\r\n\r\n'.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + END


def post_form(person: Person, body: bytes | Iterable[bytes], content_type: str = MULTIPART, **headers: str) -> Answer:
    return send(person, "POST", "/files", body, {"content-type": content_type, **headers})


def open_upload(person: Person, declared: int, *, key: str | None = None, path: str = "/files") -> socket.socket:
    """Open a connection and send only the head of an upload with this declared length."""
    parts = urlsplit(person.base_url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=TIMEOUT)
    head = (
        f"POST {parts.path}{path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key or person.api_key}\r\n"
        f"content-type: {MULTIPART}\r\ncontent-length: {declared}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def facts(error: APIStatusError) -> tuple[int, str | None, str | None]:
    """Return what a program reads of an error: status, code and field."""
    return error.status_code, error.code, error.param
