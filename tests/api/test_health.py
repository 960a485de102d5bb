"""GET /livez and /readyz: no key is needed, and nothing is told that an outsider should not know."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

from shared.projects.secret_format import PROJECT_PREFIX, new_secret
from tests.api.wire import Answer
from tests.world import Person


def ask(base_url: str, path: str, **headers: str) -> Answer:
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=20)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    connection.close()
    return answer


def test_a_living_server_says_so(server: str) -> None:
    answer = ask(server, "/livez")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_a_server_that_can_work_is_ready(server: str) -> None:
    answer = ask(server, "/readyz")
    assert answer.status == 200
    assert answer.json == {"status": "ok", "checks": {"postgres": "ok", "redis": "ok"}}


def test_a_server_without_redis_goes_on_and_says_so(frugal_server: str) -> None:
    answer = ask(frugal_server, "/readyz")
    assert (answer.status, answer.json["status"], answer.json["checks"]["postgres"]) == (200, "degraded", "ok")
    assert answer.json["checks"]["redis"].startswith("unreachable")


def test_a_server_without_postgres_lives_and_is_not_ready(lonely_server: str) -> None:
    assert ask(lonely_server, "/livez").status == 200
    answer = ask(lonely_server, "/readyz")
    assert (answer.status, answer.json["status"]) == (503, "unavailable")
    assert "secret" not in answer.text
    assert "127.0.0.1" not in answer.text


def test_without_postgres_a_request_can_be_tried_again(lonely_server: str) -> None:
    answer = ask(lonely_server, "/v1/files", authorization=f"Bearer {new_secret(PROJECT_PREFIX)}")
    assert (answer.status, answer.error["code"]) == (503, "database_unavailable")
    assert (answer.error["type"], answer.headers["retry-after"]) == ("server_error", "2")
    assert "secret" not in answer.text


def test_postgres_is_asked_and_not_remembered(alice: Person) -> None:
    assert alice.openai.files.list().data == []
    assert ask(alice.base_url, "/readyz").json["checks"]["postgres"] == "ok"
