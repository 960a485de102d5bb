"""GET /v1/organization/jobs, …/files, …/webhook_endpoints, …/queues and …/failures: rows of all projects."""

from datetime import timedelta
from typing import Any

import pytest

from shared.database import transaction
from shared.datasets.models import Dataset, DatasetStatus
from shared.db.times import epoch, utc_now
from shared.jobs.models import Job, JobStatus
from shared.projects import service as projects
from shared.projects.models import Credential
from shared.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from tests.api.administration import Operator
from tests.api.test_webhook_endpoints import create
from tests.api.wire import send
from tests.servers import closed_port
from tests.worker.support import change, endpoint_of, ids, write_event
from tests.world import Person, row, step

LISTS = ["jobs", "files", "webhook_endpoints", "queues", "failures"]


def listed(operator: Operator, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = operator.http.get(f"/{path}", params=query)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def found(operator: Operator, path: str, **query: Any) -> list[str]:
    return [each["id"] for each in listed(operator, path, **query)]


def test_jobs_of_all_projects_are_found_by_what_they_are(alice: Person, bob: Person, operator: Operator) -> None:
    first, second = alice.create_job(model="gpt-4.1"), bob.create_job(model="gpt-4o-mini", metadata={"team": "b"})
    change(Job, first, status=JobStatus.FAILED)
    assert found(operator, "jobs") == [second, first]
    assert [each["project_id"] for each in listed(operator, "jobs")] == [bob.project_id, alice.project_id]
    assert found(operator, "jobs", project_id=alice.project_id) == [first]
    assert found(operator, "jobs", project_id=[alice.project_id, bob.project_id]) == [second, first]
    assert found(operator, "jobs", status="failed") == [first]
    assert found(operator, "jobs", model="gpt-4o-mini") == [second]
    assert found(operator, "jobs", **{"metadata[team]": "b"}) == [second]
    assert found(operator, "jobs", **{"created_at[gte]": epoch(utc_now()) + 3600}) == []
    assert found(operator, "jobs", **{"created_at[gte]": epoch(row(Job, first).created_at) - 1}) == [second, first]


def test_files_of_all_projects_are_found_by_what_they_are(alice: Person, bob: Person, operator: Operator) -> None:
    first, second = alice.upload(name="a.jsonl"), bob.upload(name="b.jsonl")
    gone = bob.upload(name="c.jsonl")
    bob.openai.files.delete(gone)
    change(Dataset, first, status=DatasetStatus.ERROR)
    assert found(operator, "files") == [second, first]
    assert [each["project_id"] for each in listed(operator, "files")] == [bob.project_id, alice.project_id]
    assert found(operator, "files", project_id=bob.project_id) == [second]
    assert found(operator, "files", status="error") == [first]
    assert found(operator, "files", filename="b.jsonl", purpose="fine-tune") == [second]
    assert found(operator, "files", purpose="batch") == []


def test_endpoints_of_all_projects_are_found_by_their_state(alice: Person, bob: Person, operator: Operator) -> None:
    well, failing, paused, disabled = create(alice).id, create(bob).id, create(bob).id, create(alice).id
    since = utc_now() - timedelta(hours=1)
    change(WebhookEndpoint, failing, failing_since=since)
    change(WebhookEndpoint, paused, failing_since=since, paused_until=utc_now() + timedelta(hours=1))
    alice.http.post(f"/webhook_endpoints/{disabled}", json={"enabled": False}).raise_for_status()
    assert found(operator, "webhook_endpoints") == [disabled, paused, failing, well]
    assert found(operator, "webhook_endpoints", status="enabled") == [paused, failing, well]
    assert found(operator, "webhook_endpoints", status="failing") == [paused, failing]
    assert found(operator, "webhook_endpoints", status="paused") == [paused]
    assert found(operator, "webhook_endpoints", status="disabled", project_id=alice.project_id) == [disabled]
    assert found(operator, "webhook_endpoints", status="disabled", project_id=bob.project_id) == []


def test_queues_of_all_projects_go_by_project_and_base_model(alice: Person, bob: Person, operator: Operator) -> None:
    alice.create_job(model="gpt-4o-mini")
    alice.create_job(model="gpt-4o-mini-2024-07-18")
    bob.create_job(model="gpt-4.1")
    queues = {each["id"]: each["preparing"] for each in listed(operator, "queues")}
    assert queues == {f"{alice.project_id}/gpt-4o-mini": 2, f"{bob.project_id}/gpt-4.1": 1}
    assert found(operator, "queues", model="gpt-4.1") == [f"{bob.project_id}/gpt-4.1"]
    [first, second] = sorted(queues)
    assert found(operator, "queues", limit=1) == [first]
    assert found(operator, "queues", after=first) == [second]


def test_failures_of_all_kinds_say_why(alice: Person, bob: Person, operator: Operator) -> None:
    endpoint_id = endpoint_of(bob, f"http://127.0.0.1:{closed_port()}/")["id"]
    log = f"/webhook_endpoints/{endpoint_id}/deliveries"
    file_id, job_id = alice.upload(), alice.create_job()
    write_event(bob)
    [delivery_id] = ids(WebhookDelivery)
    step(WebhookDelivery, delivery_id)
    assert listed(operator, "failures") == []
    why = {"code": "bad", "message": "why", "param": None}
    change(Dataset, file_id, status=DatasetStatus.ERROR, error_code="invalid_file", status_details="Line 1")
    change(Job, job_id, status=JobStatus.FAILED, error=why, finished_at=utc_now())
    change(WebhookDelivery, delivery_id, status="failed", failure_reason="attempts_exhausted", finished_at=utc_now())
    failed = listed(operator, "failures")
    assert [(each["kind"], each["id"], each["project_id"], each["code"]) for each in failed] == [
        ("webhook_delivery", delivery_id, bob.project_id, "attempts_exhausted"),
        ("job", job_id, alice.project_id, "bad"),
        ("file", file_id, alice.project_id, "invalid_file"),
    ]
    [error] = [attempt["error"] for attempt in bob.http.get(log).json()["data"][0]["attempts"]]
    assert [each["message"] for each in failed] == [error, "why", "Line 1"]
    assert found(operator, "failures", kind=["job", "file"]) == [job_id, file_id]
    assert found(operator, "failures", project_id=bob.project_id) == [delivery_id]
    assert found(operator, "failures", limit=1) == [delivery_id]
    assert found(operator, "failures", limit=1, after=delivery_id) == [job_id]
    assert found(operator, "failures", after=job_id) == [file_id]
    assert found(operator, "failures", after=file_id) == []


@pytest.mark.parametrize("path", ["jobs", "files", "webhook_endpoints"])
def test_lists_go_by_pages(alice: Person, bob: Person, operator: Operator, path: str) -> None:
    for person in (alice, bob, alice):
        person.create_job()
        create(person)
    everything = found(operator, path)
    first = operator.http.get(f"/{path}", params={"limit": 2}).json()
    assert (first["has_more"], [each["id"] for each in first["data"]]) == (True, everything[:2])
    assert found(operator, path, after=first["last_id"]) == everything[2:]


@pytest.mark.parametrize("path", [each for each in LISTS if each != "queues"])
def test_an_unknown_cursor_is_refused(operator: Operator, path: str) -> None:
    answer = operator.http.get(f"/{path}", params={"after": "never-made"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "after")


@pytest.mark.parametrize("path", LISTS)
def test_only_an_admin_key_with_the_scope_lists_them(alice: Person, path: str) -> None:
    assert send(alice, "GET", f"/organization/{path}").status == 403
    for scope, status in (("admin:activity:read", 200), ("admin:projects:read", 403), ("admin:*", 200)):
        with transaction() as session:
            _, secret = projects.create_api_key(session, None, "narrow", scopes=[scope])
        headers = {"authorization": f"Bearer {secret}"}
        assert send(alice, "GET", f"/organization/{path}", headers=headers).status == status


def test_what_is_due_and_stuck_is_told_as_on_the_operators_page(alice: Person, operator: Operator) -> None:
    job = alice.create_job()
    change(Job, job, due_at=utc_now() - timedelta(minutes=6))
    answer = operator.http.get("/due").json()
    (stuck,) = answer["stuck"]
    assert (stuck["table"], stuck["id"], stuck["project_id"]) == ("jobs", job, alice.project_id)
    assert stuck["due_at"] == epoch(row(Job, job).due_at)
    jobs = next(each for each in answer["tables"] if each["table"] == "jobs")
    assert (jobs["due"], jobs["oldest_due_at"]) == (1, stuck["due_at"])
    assert set(answer["scheduler"]) == {"swept_at", "is_running"}
    assert alice.http.get("/organization/due").status_code == 403


def test_accounts_of_all_projects_are_told_with_their_back_off(alice: Person, bob: Person, operator: Operator) -> None:
    made = {"name": "ours", "base_url": "https://api.openai.com/v1", "api_key": "sk-theirs-12345"}
    first, second = (operator.post(each, "credentials", **made)["id"] for each in (alice, bob))
    paused = utc_now() + timedelta(hours=1)
    change(Credential, first, paused_until=paused, pauses=3)
    accounts = listed(operator, "accounts")
    assert [each["id"] for each in accounts[:2]] == [second, first]
    assert (accounts[1]["paused_until"], accounts[1]["pauses"]) == (epoch(paused), 3)
    assert [each["project_id"] for each in accounts[:2]] == [bob.project_id, alice.project_id]
    assert "sk-theirs-12345" not in str(accounts)
    assert found(operator, "accounts", after=second, limit=1) == [first]
    assert operator.http.get("/accounts", params={"after": "cred_none"}).status_code == 404
    assert alice.http.get("/organization/accounts").status_code == 403


def test_an_endpoints_success_is_told_to_its_project_alone(alice: Person, bob: Person) -> None:
    endpoint = create(alice, event_types=["fine_tuning.job.cancelled"]).id
    path = f"/webhook_endpoints/{endpoint}/success"
    nothing = {"object": "webhook_endpoint.success", "succeeded": 0, "failed": 0, "rate": None}
    assert alice.http.get(path).json() == nothing
    for status in ("succeeded", "succeeded", "failed"):
        write_event(alice)
        change(WebhookDelivery, ids(WebhookDelivery)[-1], status=DeliveryStatus(status), due_at=None)
    answer = alice.http.get(path).json()
    assert (answer["succeeded"], answer["failed"], round(answer["rate"], 2)) == (2, 1, 0.67)
    assert bob.http.get(path).status_code == 404
