"""Which server a client's command asks, and the one sentence for whatever goes wrong on the way."""

import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli import running_up
from cli.client import server
from cli.local.environment import only_one
from tests.cli.terminal import Tunery
from tests.world import Person, Sandbox


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Neither variable is set; the state folder, in which nothing runs."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNERY_STATE", str(tmp_path))
    return tmp_path


def test_without_variables_the_server_that_runs_here_is_asked(alice: Person, nowhere: Path, tunery: Tunery) -> None:
    values = {"OPENAI_BASE_URL": alice.base_url, "OPENAI_API_KEY": alice.api_key, "OPENAI_ADMIN_KEY": "sk-admin"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    file_id = alice.upload()
    with only_one(nowhere):
        running_up.keep(nowhere, {})
        (nowhere / "env").write_text("\n".join([*lines, "# Docs: http://127.0.0.1/docs", ""]))
        assert tunery("files", "show", file_id).out.splitlines()[0].split() == ["file", file_id]
    assert tunery("files", "show", file_id).code == 1  # the files of an `up` that was killed


def test_without_variables_and_without_a_server_both_ways_are_named(nowhere: Path, tunery: Tunery) -> None:
    said = tunery("files", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("No server is named, and none runs here. Start one with `./tunery up`, or set OPENAI_")


@pytest.mark.parametrize("missing", ["OPENAI_BASE_URL", "OPENAI_API_KEY"])
def test_one_variable_alone_is_refused(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    said = tunery("jobs", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"{missing} is not set")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:8000/v1", "must be an address such as http://"),
        ("http://", "must be an address such as http://"),
        ("http://127.0.0.1:99999/v1", "must be an address such as http://"),
        ("http://127.0.0.1:1/v1", "does not answer: Connection refused. If it is not running, start it"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, address: str, sentence: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    said = tunery("files", "list")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert address in said.err
    assert sentence in said.err


@pytest.mark.parametrize("command", [("files", "list"), ("jobs", "show", "ftjob-1"), ("models", "list")])
def test_an_address_without_v1_is_told_the_right_one(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", at_alices.base_url.removesuffix("/v1"))
    said = tunery(*command)
    assert (said.code, said.out) == (1, "")
    assert f"Did you mean OPENAI_BASE_URL={at_alices.base_url} ?" in said.err


@pytest.mark.parametrize(
    ("key", "sentence"),
    [("sk-nobody", "This API key is unknown: check OPENAI_API_KEY"), ("sk-“x”", "has characters that no key has")],
)
def test_a_bad_key_is_one_sentence(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, key: str, sentence: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    said = tunery("models", "list")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert sentence in said.err
    assert key not in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("files", "show", ""),
        ("jobs", "show", "../files"),
        ("jobs", "create", "--file", "file-1", "--metadata", "team"),
        ("jobs", "list", "--status", "done"),
        ("jobs", "create", "--estimate"),
        ("files", "download", "file-1", "--json"),
    ],
)
def test_a_wrong_command_exits_with_2(at_alices: Person, tunery: Tunery, arguments: tuple[str, ...]) -> None:
    said = tunery(*arguments)
    assert (said.code, said.out) == (2, "")


def test_what_another_project_owns_is_not_found(at_alices: Person, bob: Person, tunery: Tunery) -> None:
    said = tunery("files", "show", bob.upload())
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("No such File object: file-")


class WebSite(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"<html>Welcome</html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web_site() -> Iterator[str]:
    """The address of a server that answers every GET with a page for people."""
    with ThreadingHTTPServer(("127.0.0.1", 0), WebSite) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("command", [("files", "list"), ("jobs", "watch", "ftjob-1"), ("models", "show", "m")])
def test_a_web_site_is_no_api(
    web_site: str, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", web_site)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    said = tunery(*command)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith(f"does not answer as OpenAI's API does. Did you mean OPENAI_BASE_URL={web_site}/v1 ?\n")


def test_a_server_that_takes_too_long_is_one_sentence(
    at_openai: Sandbox, tunery: Tunery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TIMEOUT_SECONDS", 0.5)
    at_openai.arm("GET", "/v1/files", delay=30)
    said = tunery("files", "list")
    at_openai.disarm()
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "did not answer within" in said.err


def test_text_that_is_not_utf_8_is_one_sentence(at_openai: Sandbox, tunery: Tunery) -> None:
    said = tunery("chat", "gpt-4o-mini", "\udcff")
    assert (said.code, said.out, said.err.split(",")[0]) == (1, "", "What was given is not text in UTF-8")


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (429, {"retry-after": "7"}, "Too fast. Try again in 7 s.\n"),
        (403, {}, "Too fast.\n"),
        (503, {}, "has failed (503: Too fast). Try again soon.\n"),
    ],
)
def test_a_refusal_is_the_servers_sentence_with_what_to_do(
    at_openai: Sandbox, tunery: Tunery, status: int, headers: dict[str, str], sentence: str
) -> None:
    error = {"error": {"message": "Too fast.", "type": "error", "param": None, "code": None}}
    at_openai.arm("GET", "/v1/models", status=status, headers=headers, body=error)
    said = tunery("models", "list")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.endswith(sentence)
