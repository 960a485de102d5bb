"""Limits of requests and bytes per minute, by project, key and IP address, with Redis and without."""

import json
import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from openai import BadRequestError, NotFoundError, OpenAI, RateLimitError
from starlette.types import Message

from api.rate_limits import middleware
from api.rate_limits.middleware import RateLimitMiddleware
from shared.database import transaction
from shared.projects import service as projects
from shared.projects.models import ApiKey
from shared.projects.rate_limits import Limits
from shared.settings import get_settings
from tests.api.conftest import serving_under
from tests.api.wire import Answer, send
from tests.worker.support import ids
from tests.world import Person

NO_LIMIT = 2**31 - 1


@pytest.fixture(scope="session")
def tiny_server(server: str) -> Iterator[str]:
    """Allows a project 5 requests and 1,000 bytes, and an address 3 unknown keys per minute; Redis never answers."""
    silent = socket.create_server(("127.0.0.1", 0))
    conditions = {
        "TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE": "5",
        "TUNERY_RATE_LIMITS__BYTES_PER_MINUTE": "1000",
        "TUNERY_RATE_LIMITS__FAILED_AUTHENTICATIONS_PER_MINUTE": "3",
        "REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
    }
    with silent, serving_under(**conditions) as address:
        yield address


@pytest.fixture
def tiny(tiny_server: str, alice: Person) -> Iterator[Person]:
    """Alice, at the server with tiny limits."""
    within_a_minute()
    person = Person(tiny_server, alice.api_key, alice.project_id)
    yield person
    person.close()


def within_a_minute() -> None:
    """Wait for the next minute if this one ends within 15 seconds: limits are counted by the minute of the clock."""
    if (left := 60 - time.time() % 60) < 15:
        time.sleep(left)


def limit(admin: OpenAI, owner: str, project: str, **limits: int | None) -> None:
    limits_of_project = admin.admin.organization.projects.rate_limits
    limits_of_project.update_rate_limit(f"rl-{owner}", project_id=project, extra_body=limits)


def ask(person: Person, times: int, path: str = "/files") -> list[Answer]:
    return [send(person, "GET", path) for _ in range(times)]


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def test_a_project_over_its_limit_gets_429_with_the_time_to_retry(alice: Person, bob: Person, admin: OpenAI) -> None:
    within_a_minute()
    limit(admin, alice.project_id, alice.project_id, max_requests_per_1_minute=3)
    answers = ask(alice, 6)
    assert statuses(answers) == [200] * 3 + [429] * 3
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0", "0", "0"]
    for refused in answers[3:]:
        again = int(refused.headers["retry-after"])
        assert 1 <= again <= 60
        assert refused.headers["x-ratelimit-limit-requests"] == "3"
        assert refused.headers["x-ratelimit-reset-requests"] == f"{again}s"
        error = refused.json["error"]
        assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
        assert error["message"] == f"The limit of 3 requests per minute is reached: try again in {again} s"
        assert refused.headers["x-request-id"].startswith("req_")
    assert statuses(ask(bob, 4)) == [200] * 4


def test_the_sdk_raises_a_rate_limit_error(alice: Person, admin: OpenAI) -> None:
    limit(admin, alice.project_id, alice.project_id, max_requests_per_1_minute=0)
    with pytest.raises(RateLimitError) as refused:
        alice.openai.files.list()
    assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "requests")


def test_a_key_can_have_its_own_limit_beside_its_projects(alice: Person, admin: OpenAI) -> None:
    within_a_minute()
    [key_id] = [id for id in ids(ApiKey) if id in _keys_of(admin, alice)]
    with transaction() as session:
        _, other = projects.create_api_key(session, alice.project_id, "other")
    limit(admin, key_id, alice.project_id, max_requests_per_1_minute=2)
    limit(admin, alice.project_id, alice.project_id, max_requests_per_1_minute=6)  # which pays for no refused request
    assert statuses(ask(alice, 9)) == [200] * 2 + [429] * 7
    sibling = Person(alice.base_url, other, alice.project_id)
    assert statuses(ask(sibling, 3)) == [200] * 3
    sibling.close()


def _keys_of(admin: OpenAI, person: Person) -> set[str | None]:
    listed: Any = admin.admin.organization.projects.rate_limits.list_rate_limits(person.project_id)
    return {each.to_dict().get("api_key_id") for each in listed}


def test_in_a_flood_one_request_refreshes_the_limits_and_the_others_use_the_cached_ones() -> None:
    looked, refused = [], []

    async def app(*request: Any) -> None:
        looked.append(request)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send_refusal(message: Message) -> None:
        refused.append(message["type"])

    async def flood() -> None:
        limiter = RateLimitMiddleware(app)
        limiter.cache.put(sha256(b"Bearer hers ").digest(), {"proj_hers": Limits(0, None, None, None)}).until = 0
        for _ in range(20):
            scope = {"type": "http", "path": "/v1/files", "headers": [(b"authorization", b"Bearer hers")]}
            await limiter(scope, receive, send_refusal)

    anyio.run(flood)
    assert (len(looked), refused.count("http.response.start")) == (1, 19)


def test_a_refusal_says_one_time_although_the_clock_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, told = count(1_000_000_030.0), dict[str, str]()
    monkeypatch.setattr(middleware, "time", SimpleNamespace(time=lambda: next(seconds), monotonic=time.monotonic))

    async def take(message: Message) -> None:
        told.update({name.decode(): value.decode() for name, value in message.get("headers", [])})

    async def never() -> Message:
        raise AssertionError("a refused request is not read")

    async def ask_once() -> None:
        limiter = RateLimitMiddleware(lambda *_: anyio.sleep(0))
        limiter.cache.put(sha256(b"Bearer hers ").digest(), {"proj_hers": Limits(0, None, None, None)})
        scope = {"type": "http", "path": "/v1/files", "headers": [(b"authorization", b"Bearer hers")]}
        await limiter(scope, never, take)

    anyio.run(ask_once)
    assert told["x-ratelimit-reset-requests"] == f"{told['retry-after']}s"


def test_with_a_hanging_redis_a_process_counts_alone(tiny: Person) -> None:
    assert statuses(ask(tiny, 7)) == [200] * 5 + [429] * 2


def test_bytes_are_counted_and_the_body_that_exceeds_the_limit_is_accepted(tiny: Person) -> None:
    body = json.dumps({"model": "gpt-4o-mini", "training_file": "file-never", "suffix": "s" * 600}).encode()
    answers = [send(tiny, "POST", "/fine_tuning/jobs", body) for _ in range(3)]
    assert statuses(answers)[2] == 429
    assert 429 not in statuses(answers)[:2]
    assert answers[2].json["error"]["message"].startswith("The limit of 1000 bytes per minute is reached")
    assert [answer.headers["x-ratelimit-remaining-bytes"] for answer in answers] == [str(1000 - len(body)), "0", "0"]
    assert send(tiny, "GET", "/files").status == 200


def test_bytes_without_a_declared_length_are_counted_too(tiny: Person) -> None:
    body = json.dumps({"model": "gpt-4o-mini", "training_file": "file-never", "suffix": "s" * 1200}).encode()
    for status in (400, 429):
        answer = tiny.http.post("/fine_tuning/jobs", content=iter([body]), headers={"content-type": "application/json"})
        assert answer.status_code == status
        body = body[:100]
    assert send(tiny, "GET", "/files").headers["x-ratelimit-remaining-bytes"] == "0"


def test_an_address_that_guesses_keys_is_let_in_only_with_known_keys(tiny: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    operator = Person(tiny.base_url, secret, tiny.project_id)
    stranger = Person(tiny.base_url, "sk-tun-guessed", tiny.project_id)
    assert send(tiny, "GET", "/files").status == 200
    assert send(operator, "GET", "/organization/projects").status == 200
    assert statuses(ask(stranger, 5)) == [401] * 3 + [429] * 2
    assert send(tiny, "GET", "/files").status == 200
    assert send(operator, "GET", "/organization/projects").status == 200
    for person in (stranger, operator):
        person.close()


def test_health_has_no_limit(tiny: Person) -> None:
    ask(tiny, 6)
    health = Person(tiny.base_url.removesuffix("/v1"), tiny.api_key, tiny.project_id)
    answers = ask(health, 8, "/livez")
    assert statuses(answers) == [200] * 8
    assert [name for name in answers[0].headers if "ratelimit" in name] == []
    health.close()


def test_two_processes_share_a_limit(alice: Person, admin: OpenAI) -> None:
    limit(admin, alice.project_id, alice.project_id, max_requests_per_1_minute=40)
    with serving_under() as address:
        within_a_minute()
        there = Person(address, alice.api_key, alice.project_id)
        both = [status for _ in range(30) for status in statuses(ask(alice, 1) + ask(there, 1))]
        there.close()
    assert both.count(200) == 40


def test_an_operator_sees_the_limits_of_a_project_and_of_its_keys(alice: Person, admin: OpenAI) -> None:
    limits = admin.admin.organization.projects.rate_limits
    limit(
        admin, alice.project_id, alice.project_id, max_requests_per_1_minute=700, max_bytes_per_1_minute=5_000_000_000
    )
    listed = list(limits.list_rate_limits(alice.project_id))
    assert [(each.model, each.max_requests_per_1_minute) for each in listed] == [("*", 700), ("*", NO_LIMIT)]
    first = listed[0].to_dict()
    assert (first["max_bytes_per_1_minute"], first["max_open_jobs"]) == (5_000_000_000, None)
    assert [each.id for each in limits.list_rate_limits(alice.project_id, after=listed[0].id)] == [listed[1].id]
    assert [each.id for each in limits.list_rate_limits(alice.project_id, before=listed[1].id)] == [listed[0].id]
    again = limits.update_rate_limit(
        listed[0].id, project_id=alice.project_id, extra_body={"max_requests_per_1_minute": None}
    )
    assert again.max_requests_per_1_minute == get_settings().rate_limits.requests_per_minute


def test_unsupported_and_foreign_limits_are_refused(alice: Person, bob: Person, admin: OpenAI) -> None:
    limits = admin.admin.organization.projects.rate_limits
    own = f"rl-{alice.project_id}"
    key_limit = list(limits.list_rate_limits(alice.project_id))[1].id
    with pytest.raises(BadRequestError) as refused:
        limits.update_rate_limit(own, project_id=alice.project_id, max_tokens_per_1_minute=5)
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "max_tokens_per_1_minute")
    with pytest.raises(BadRequestError):
        limits.update_rate_limit(own, project_id=alice.project_id, max_requests_per_1_minute=-1)
    with pytest.raises(BadRequestError, match="can be set only for a whole project"):
        limits.update_rate_limit(key_limit, project_id=alice.project_id, extra_body={"max_open_jobs": 3})
    with pytest.raises(NotFoundError):
        limits.update_rate_limit(own, project_id=bob.project_id, max_requests_per_1_minute=1)
    with pytest.raises(NotFoundError):
        limits.list_rate_limits("proj_none")
