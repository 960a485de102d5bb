"""GET /livez and /readyz: they need no key and reveal nothing confidential."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

from sqlalchemy import text

from shared.db.revisions import known_revisions, newest_revision
from shared.projects.secret_format import PROJECT_PREFIX, new_secret
from tests.api.wire import Answer
from tests.world import Person, as_owner


def ask(base_url: str, path: str, **headers: str) -> Answer:
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    connection.close()
    return answer


def test_livez_answers_ok(server: str) -> None:
    answer = ask(server, "/livez")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_readyz_answers_ok_with_postgres_and_redis(server: str) -> None:
    answer = ask(server, "/readyz")
    assert answer.status == 200
    assert answer.json == {"status": "ok", "checks": {"postgres": "ok", "redis": "ok"}}


def test_readyz_needs_the_schema_of_this_release_or_of_a_newer_one(clean: str) -> None:
    newest = newest_revision()
    for revision, status in (("a-newer-one", 200), (min(known_revisions() - {newest}), 503), (newest, 200)):
        with as_owner() as session:
            session.execute(text("update alembic_version set version_num = :revision"), {"revision": revision})
        assert ask(clean, "/readyz").status == status


def test_without_redis_readyz_is_degraded_and_requests_are_served(frugal_server: str) -> None:
    answer = ask(frugal_server, "/readyz")
    assert (answer.status, answer.json["status"], answer.json["checks"]["postgres"]) == (200, "degraded", "ok")
    assert answer.json["checks"]["redis"].startswith("unreachable")


def test_without_postgres_livez_is_ok_and_readyz_is_not(lonely_server: str) -> None:
    assert ask(lonely_server, "/livez").status == 200
    answer = ask(lonely_server, "/readyz")
    assert (answer.status, answer.json["status"]) == (503, "unavailable")
    assert "secret" not in answer.text
    assert "127.0.0.1" not in answer.text


def test_without_postgres_a_request_is_answered_with_a_retryable_503(lonely_server: str) -> None:
    answer = ask(lonely_server, "/v1/files", authorization=f"Bearer {new_secret(PROJECT_PREFIX)}")
    assert (answer.status, answer.error["code"]) == (503, "database_unavailable")
    assert (answer.error["type"], answer.headers["retry-after"]) == ("server_error", "2")
    assert "secret" not in answer.text


def test_readyz_queries_postgres_each_time(alice: Person) -> None:
    assert alice.openai.files.list().data == []
    assert ask(alice.base_url, "/readyz").json["checks"]["postgres"] == "ok"
