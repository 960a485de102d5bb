"""Quotas that an admin sets for one project: they replace those of the settings, for it alone."""

from typing import Any

import pytest

from tests.api.administration import Operator
from tests.world import Person

HOOK = {"name": "ci", "url": "https://hooks.example.com/", "event_types": ["fine_tuning.job.cancelled"]}
UPLOAD = {"filename": "train.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl", "bytes": 10}
NAMES = (
    "file_bytes",
    "files",
    "pending_uploads",
    "webhook_endpoints",
    "events_per_day",
    "idempotency_keys",
    "api_keys",
    "credentials",
    "deployments",
)


def limits(person: Person) -> dict[str, int | None]:
    shown = person.http.get("/project").raise_for_status().json()["quotas"]
    return {name: each["limit"] for name, each in shown.items()}


def set_quotas(operator: Operator, person: Person, **quotas: int | None) -> Any:
    return operator.post(person, "", quotas=quotas)["quotas"]


def test_a_project_gets_quotas_of_its_own_and_the_defaults_back(alice: Person, bob: Person, operator: Operator) -> None:
    of_all = limits(alice)
    assert tuple(of_all) == NAMES
    own = {name: number for number, name in enumerate(NAMES, start=200)}
    assert set_quotas(operator, alice, **own) == own
    assert limits(alice) == own
    assert limits(bob) == of_all
    assert set_quotas(operator, alice, files=0)["file_bytes"] == 200
    assert limits(alice) == {**own, "files": 0}
    assert set_quotas(operator, alice, **dict.fromkeys(NAMES)) == dict.fromkeys(NAMES)
    assert limits(alice) == of_all


def test_each_quota_refuses_what_is_beyond_it(alice: Person, operator: Operator) -> None:
    set_quotas(operator, alice, **dict.fromkeys(NAMES, 0))
    path = f"/projects/{alice.project_id}"
    account = {"api_key": "sk-1", "base_url": "https://api.example.com/v1", "name": "own"}
    file: dict[str, Any] = {"files": {"file": ("a.jsonl", b"x")}, "data": {"purpose": "user_data"}}
    refused = {
        "files": alice.http.post("/files", **file),
        "pending_uploads": alice.http.post("/uploads", json=UPLOAD),
        "events_per_day": alice.http.post("/webhook_events", json={"event_type": "dataset.failed"}),
        "idempotency_keys": alice.http.post("/uploads", json=UPLOAD, headers={"idempotency-key": "one"}),
        "api_keys": operator.http.post(f"{path}/api_keys", json={}),
        "credentials": operator.http.post(f"{path}/credentials", json=account),
    }
    found = {name: (each.status_code, each.json()["error"]["param"]) for name, each in refused.items()}
    assert found == {name: (429, name) for name in refused}
    assert alice.http.post("/webhook_endpoints", json=HOOK).json()["error"]["code"] == "too_many_endpoints"
    set_quotas(operator, alice, files=1, file_bytes=0)
    assert alice.http.post("/files", **file).json()["error"]["param"] == "file_bytes"


@pytest.mark.parametrize(
    "quotas", [{"rows": 1}, {"files": -1}, {"files": 10**15 + 1}, {"files": 1.5}, {"files": "many"}]
)
def test_a_quota_that_cannot_be_is_refused_with_its_name(
    alice: Person, operator: Operator, quotas: dict[str, object]
) -> None:
    answer = operator.http.post(f"/projects/{alice.project_id}", json={"quotas": quotas})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("quotas")


def test_the_audit_log_has_the_numbers(alice: Person, operator: Operator) -> None:
    set_quotas(operator, alice, files=7)
    [entry] = operator.http.get("/audit_logs", params={"event_types[]": "project.updated"}).json()["data"]
    assert entry["project.updated"]["changes_requested"] == {"quotas": {"files": 7}}
