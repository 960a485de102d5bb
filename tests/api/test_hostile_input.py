"""Every hostile input at every operation of the OpenAPI document is refused or handled safely.

Each input stands at one place of each operation, another one for each; `benchmarks/hostile.py` tries all of them.
"""

import pytest

from shared.database import transaction
from shared.projects import service as projects
from tests.api.attack import Attack, prepare
from tests.api.hostile import (
    BODIES,
    CANARY,
    HEADERS,
    HOSTILE,
    TEXTS,
    VALUES,
    assert_harmless,
    assert_still_serving,
    in_place,
    spoilt,
)
from tests.api.wire import send
from tests.world import Person


@pytest.fixture(scope="module")
def attack(mallory: Person) -> Attack:
    with transaction() as session:
        admin_key = projects.create_api_key(session, None, "stolen")[1]
    return prepare(mallory, admin_key)


def test_there_are_enough_operations_and_inputs_for_each(attack: Attack) -> None:
    assert len(attack.operations) > 40
    assert len(TEXTS) + len(HEADERS) + len(BODIES) >= 60
    assert len(VALUES) >= 60


@pytest.mark.parametrize("number", range(len(VALUES)), ids=VALUES.keys())
def test_a_hostile_value_in_a_body(attack: Attack, number: int) -> None:
    literal = [*VALUES.values()][number]
    for position, operation in enumerate(attack.operations):
        if operation.body is not None:
            places = list(spoilt(operation.body))
            where, body = places[(number + position) % len(places)]
            answer = attack.ask(operation, body=in_place(body, literal))
            assert_harmless(answer, f"{operation.name} {where}")
    assert_still_serving(attack.mallory)


@pytest.mark.parametrize("number", range(len(BODIES)), ids=BODIES.keys())
def test_a_hostile_body(attack: Attack, number: int) -> None:
    body = [*BODIES.values()][number]
    for position, operation in enumerate(attack.operations):
        if operation.method == "GET" and (number + position) % 3:
            continue  # nobody reads it there: some will do
        answer = attack.ask(operation, body=body)
        assert_harmless(answer, operation.name)
        is_optional = operation.path.endswith("rotate_secret")
        assert answer.status >= 400 or operation.body is None or is_optional, operation.name
    assert_still_serving(attack.mallory)


@pytest.mark.parametrize("number", range(len(TEXTS)), ids=TEXTS.keys())
def test_a_hostile_id_in_the_path(attack: Attack, number: int) -> None:
    text = [*TEXTS.values()][number]
    for operation in attack.operations:
        if operation.in_path:
            spoiled = operation.in_path[number % len(operation.in_path)]
            answer = attack.ask(operation, operation.address({**attack.ids_for(operation), spoiled: text}))
            assert answer.status in {400, 404, 405}, f"{operation.name}: {answer.status} {answer.text[:200]}"
            assert answer.error
            assert "x-injected" not in answer.headers


@pytest.mark.parametrize("number", range(len(TEXTS)), ids=TEXTS.keys())
def test_a_hostile_query(attack: Attack, number: int) -> None:
    text = [*TEXTS.values()][number]
    for position, operation in enumerate(attack.operations):
        address = operation.address(attack.ids_for(operation))
        queries = [f"{name}={text}" for name in (*operation.in_query, "unknown", "metadata[k]", "metadata[", "limit")]
        queries += [f"metadata[{text}]=v", text, f"{text}={text}"]
        query = queries[(number + position) % len(queries)]
        assert_harmless(attack.ask(operation, f"{address}?{query}"), f"{operation.name} ?{query[:80]}")


@pytest.mark.parametrize(
    "headers", HEADERS, ids=lambda headers: " ".join(f"{n}={v[:12]!r}" for n, v in headers.items())
)
def test_a_hostile_header(attack: Attack, headers: dict[str, str]) -> None:
    for operation in attack.operations:
        answer = attack.ask(operation, headers=headers)
        assert_harmless(answer, operation.name)
        assert "evil.example" not in str(answer.headers)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/files//a/b", f"/{CANARY}", f"/files/{HOSTILE}", "//nowhere", "/../livez"]
)
def test_a_hostile_url(attack: Attack, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"):
        answer = send(attack.mallory, method, path)
        assert answer.status in {404, 405}
        assert method == "HEAD" or answer.error
