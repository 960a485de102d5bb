"""Calls from web pages of other origins (`TUNERY_CORS_ORIGINS`), and a path prefix (`TUNERY_ROOT_PATH`)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from openai import OpenAI

from api.main import create_app
from tests.api.module_person import alice
from tests.api.wire import Answer, send
from tests.servers import serving
from tests.worker.support import settings
from tests.world import Person

__all__ = ["alice"]

PAGE = "https://app.example.com"
OTHER = "https://evil.example.com"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"}


@contextmanager
def server_with(alice: Person, **variables: str) -> Iterator[Person]:
    """Alice at a server with these settings; her paths begin at its root."""
    with settings(**variables):
        app = create_app()
    with serving(app) as address:
        person = Person(address, alice.api_key, alice.project_id)
        yield person
        person.close()


@pytest.fixture(scope="module")
def page(alice: Person) -> Iterator[Person]:
    with server_with(alice, TUNERY_CORS_ORIGINS=f'["{PAGE}", "http://localhost:3000"]') as person:
        yield person


def cors(answer: Answer) -> Mapping[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files", "/v1/files/file-x", "/openai/v1/files"])
@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_preflight_of_a_permitted_page_needs_no_key(page: Person, path: str, origin: str, method: str) -> None:
    headers = {"authorization": "", "origin": origin, **PREFLIGHT, "access-control-request-method": method}
    answer = send(page, "OPTIONS", path, headers=headers)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert method in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [OTHER, "https://app.example.com.evil.com", "https://app.example.com:444", "null"])
def test_a_page_of_another_origin_gets_no_permission(page: Person, origin: str) -> None:
    refused = send(page, "OPTIONS", "/v1/files", headers={"origin": origin, **PREFLIGHT})
    assert refused.status == 400
    assert "access-control-allow-origin" not in refused.headers
    assert "access-control-allow-origin" not in send(page, "GET", "/v1/files", headers={"origin": origin}).headers


@pytest.mark.parametrize(
    ("path", "key", "status"), [("/v1/files", None, 200), ("/v1/files", "", 401), ("/v1/x", None, 404)]
)
def test_a_permitted_page_reads_answers_errors_and_their_headers(
    page: Person, path: str, key: str | None, status: int
) -> None:
    headers = {"origin": PAGE} if key is None else {"origin": PAGE, "authorization": key}
    answer = send(page, "GET", path, headers=headers)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, PAGE)
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "x-ratelimit-remaining-requests", "idempotent-replayed"} <= set(exposed)
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers


def test_a_star_permits_every_page_without_credentials(alice: Person) -> None:
    with server_with(alice, TUNERY_CORS_ORIGINS='["*"]') as page:
        for answer in (
            send(page, "OPTIONS", "/v1/files", headers={"origin": OTHER, **PREFLIGHT}),
            send(page, "GET", "/v1/files", headers={"origin": OTHER, "cookie": "a=b"}),
        ):
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
            assert "access-control-allow-credentials" not in answer.headers


def test_without_the_setting_there_are_no_such_headers(alice: Person) -> None:
    assert send(alice, "OPTIONS", "/files", headers={"origin": PAGE, **PREFLIGHT}).status == 405
    assert cors(send(alice, "GET", "/files", headers={"origin": PAGE})) == {}


@pytest.fixture(scope="module")
def below(alice: Person) -> Iterator[Person]:
    with server_with(alice, TUNERY_ROOT_PATH="/team/tunery") as person:
        yield person


LINK = re.compile(r"""(?:src|href|url)\s*[=:]\s*['"]([^'"]+)['"]""")


@pytest.mark.parametrize("sent", ["", "/team/tunery"], ids=["a proxy that strips", "a proxy that passes"])
def test_behind_a_proxy_every_link_begins_with_the_prefix(below: Person, sent: str) -> None:
    docs = send(below, "GET", f"{sent}/docs")
    links = LINK.findall(docs.text)
    assert docs.status == 200
    assert len(links) >= 3
    for link in links:
        assert link.startswith("/team/tunery/"), link
        assert send(below, "GET", sent + link.removeprefix("/team/tunery")).status == 200, link
    document = send(below, "GET", f"{sent}/openapi.json").json
    assert document["servers"] == [{"url": "/team/tunery"}]


@pytest.mark.parametrize("prefix", ["", "/team/tunery", "//team/tunery", "/team/tunery/"])
def test_behind_a_proxy_routes_probes_and_the_sdk_work(below: Person, prefix: str) -> None:
    assert send(below, "GET", f"{prefix}/livez").status == 200
    assert send(below, "GET", f"{prefix}/openai/files?api-version=1").status == 200
    with OpenAI(base_url=f"{below.base_url}{prefix}/v1", api_key=below.api_key, max_retries=0) as client:
        assert client.files.list(limit=1).data == []


@pytest.mark.parametrize("path", ["/team/v1/files", "/team/tuneryv1/files", "/team/tunery2/v1/files", "/team/tunery"])
def test_another_prefix_is_unknown(below: Person, path: str) -> None:
    assert send(below, "GET", path).status == 404


def test_without_the_setting_links_begin_at_the_root_whatever_a_client_says(alice: Person) -> None:
    root = Person(alice.base_url.removesuffix("/v1"), alice.api_key, alice.project_id)
    docs = send(root, "GET", "/docs", headers={"x-forwarded-prefix": "/evil"})
    assert "/evil" not in docs.text
    assert "servers" not in send(root, "GET", "/openapi.json").json
    root.close()
