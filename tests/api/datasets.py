"""Requests to /v1/datasets for tests: create a dataset, show one or what lies below it."""

from typing import Any

from tests.world import Person


def create(person: Person, **body: Any) -> dict[str, Any]:
    answer = person.http.post("/datasets", json=body)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def show(person: Person, dataset_id: str, path: str = "") -> dict[str, Any]:
    answer = person.http.get(f"/datasets/{dataset_id}{path}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


BAD = b'{"messages": [{"role": "bot", "content": "x"}, {"role": "assistant", "content": "y"}]}\n'
