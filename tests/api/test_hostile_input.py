"""Every hostile input at every operation of the document: it is refused or taken, and never breaks a thing.

Each input stands at one place of each operation, another one for each; `benchmarks/hostile.py` tries all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from api.main import create_app
from shared.database import transaction
from shared.projects import service as projects
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
from tests.api.operations import Operation, operations
from tests.api.wire import Answer, send
from tests.world import Person, lines

# What the schema alone does not say, so that a request gets further than to the first check.
BODIES_THAT_FIT = {
    "/fine_tuning/jobs": {
        "model": "gpt-4o-mini",
        "suffix": "x",
        "seed": 1,
        "method": {
            "type": "reinforcement",
            "supervised": {"hyperparameters": {"n_epochs": 1}},
            "dpo": {"hyperparameters": {"beta": 1}},
            "reinforcement": {
                "grader": {"type": "string_check", "name": "n", "input": "i", "reference": "r", "operation": "eq"},
                "hyperparameters": {"eval_samples": 1},
                "response_format": {"a": 1},
            },
        },
        "hyperparameters": {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1},
        "integrations": [{"type": "wandb", "wandb": {"project": "p", "name": "n", "tags": ["t"]}}],
        "metadata": {"k": "v"},
    },
    "/webhook_endpoints": {
        "name": "n",
        "url": "https://example.com/hook",
        "event_types": ["fine_tuning.job.succeeded"],
    },
    "/chat/completions": {"model": "gpt-4o-mini", "messages": [], "stream": False},
}
NEEDS_A_FILE = {"/fine_tuning/jobs": ("training_file", "validation_file")}
WAITS = "/test"  # for somebody to answer


@dataclass(frozen=True)
class Attack:
    """What Mallory has: her own key, one of an admin that she has stolen, and an id of everything."""

    mallory: Person
    admin_key: str
    operations: list[Operation]
    ids: Mapping[str, str]

    def ids_for(self, operation: Operation) -> Mapping[str, str]:
        """Real ones, where nothing is ended or waited for: the next requests need them."""
        is_safe = operation.method == "GET" or (operation.body is not None and not operation.path.endswith(WAITS))
        return self.ids if is_safe and (operation.method == "GET" or not operation.is_for_admins) else {}

    def ask(
        self,
        operation: Operation,
        address: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        key = {"authorization": f"Bearer {self.admin_key}"} if operation.is_for_admins else {}
        address = address or operation.address(self.ids_for(operation))
        if body is None and operation.body is not None:
            body = json.dumps(operation.body).encode()
        return send(self.mallory, operation.method, address, body, {**key, **(headers or {})})


@pytest.fixture(scope="module")
def attack(mallory: Person) -> Attack:
    with transaction() as session:
        admin_key = projects.create_api_key(session, None, "stolen")[1]
    file_id = mallory.upload(lines())
    found = []
    for operation in operations(create_app().openapi()):
        body = BODIES_THAT_FIT.get(operation.path, operation.body) if operation.method == "POST" else None
        files = dict.fromkeys(NEEDS_A_FILE.get(operation.path, ()), file_id) if body is not None else {}
        fitting = {**body, **files} if isinstance(body, dict) else body
        found.append(Operation(operation.method, operation.path, operation.in_path, operation.in_query, fitting))
    made = send(mallory, "POST", "/webhook_endpoints", json.dumps(BODIES_THAT_FIT["/webhook_endpoints"]).encode())
    upload = mallory.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl")
    ids = {
        "file_id": file_id,
        "dataset_id": file_id,
        "fine_tuning_job_id": mallory.create_job(training_file=file_id),
        "model": "gpt-4o-mini",
        "webhook_endpoint_id": made.json["id"],
        "upload_id": upload.id,
        "project_id": mallory.project_id,
    }
    return Attack(mallory, admin_key, found, ids)


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


@pytest.mark.parametrize("path", ["/nowhere", "/files/", f"/{CANARY}", f"/files/{HOSTILE}", "//files", "/../livez"])
def test_an_address_that_is_none(attack: Attack, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"):
        answer = send(attack.mallory, method, path)
        assert answer.status in {404, 405}
        assert method == "HEAD" or answer.error
