"""Archived projects: their data can be read and deleted, but not changed."""

import json
from collections.abc import Iterator

import httpx2
import pytest
from openai import OpenAI

from api.idempotency import ALLOWED_WHEN_ARCHIVED
from shared.database import transaction
from shared.jobs.archiving import archive_project
from tests.api.audited import post
from tests.api.operations import ADMINISTRATION, Operation, operations
from tests.api.wire import Answer, send
from tests.world import Person

PROJECT = f"{ADMINISTRATION}/projects/{{project_id}}"
REFUSED = "project_archived"
BILL = {"amount": "1.50", "currency": "USD", "reason": "the bill of November"}


@pytest.fixture
def operator(admin: OpenAI, alice: Person) -> Iterator[Person]:
    """A person with an admin key; Alice's project is archived."""
    with transaction() as session:
        archive_project(session, alice.project_id)
    operator = Person(str(admin.base_url).rstrip("/"), str(admin.admin_api_key), alice.project_id)
    yield operator
    operator.close()


def of_a_project(operator: Person, *methods: str) -> list[Operation]:
    document = httpx2.get(operator.base_url.removesuffix("/v1") + "/openapi.json", timeout=120).json()
    found = [each for each in operations(document) if "project_id" in each.in_path and each.is_for_admins]
    return [each for each in found if each.method in methods]


def ask(operator: Person, operation: Operation) -> Answer:
    body = json.dumps(operation.body)
    for name, text in {"recipients": "alice@example.com", "allowed_networks": "10.0.0.0/8"}.items():
        body = body.replace(f'"{name}": ["x"]', f'"{name}": ["{text}"]')
    address = operation.address({"project_id": operator.project_id})
    return send(operator, operation.method, address, body.encode() if operation.method == "POST" else None)


def test_nothing_can_be_created_or_changed_in_an_archived_project(operator: Person) -> None:
    asked = {each.name: ask(operator, each) for each in of_a_project(operator, "POST")}
    done = {name for name, answer in asked.items() if answer.status != 400 or answer.error["code"] != REFUSED}
    assert len(asked) > 15
    assert done == {f"POST {PROJECT}/archive", f"POST {PROJECT}/ledger"}
    assert len(ALLOWED_WHEN_ARCHIVED) == len(done)


def test_an_archived_projects_data_can_be_read_and_deleted(operator: Person) -> None:
    for each in of_a_project(operator, "GET", "DELETE"):
        answer = ask(operator, each)
        assert answer.status in {200, 404}, f"{each.name}: {answer.text}"
    answer = send(operator, "GET", f"/organization/projects/{operator.project_id}/api_keys")
    [key] = answer.json["data"]
    assert send(operator, "DELETE", f"/organization/projects/{operator.project_id}/api_keys/{key['id']}").status == 200


def test_an_archived_project_accepts_ledger_corrections(operator: Person) -> None:
    post(operator, f"/organization/projects/{operator.project_id}/ledger", BILL)
    entry, *_ = send(operator, "GET", f"/organization/projects/{operator.project_id}/ledger").json["data"]
    assert (entry["kind"], entry["amount"]) == ("adjust", "1.50")
