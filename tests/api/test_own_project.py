"""GET /v1/project: a project's key reads its own project, in the numbers that an admin key reads."""

from typing import Any

import pytest

from shared.database import transaction
from shared.jobs.models import Job
from shared.projects import service as projects
from tests.api.administration import Operator, counted_file
from tests.api.wire import send
from tests.worker.queues import admit, held, queued_job, rank, waiting_job
from tests.worker.support import change, settings
from tests.world import Person, Sandbox, row


def own(person: Person, **headers: str) -> dict[str, Any]:
    answer = person.http.get("/project", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def of_admin(operator: Operator, person: Person, path: str = "") -> Any:
    return operator.http.get(f"/projects/{person.project_id}{path}").raise_for_status().json()


def test_a_new_project_shows_no_limits_and_no_jobs(alice: Person, operator: Operator) -> None:
    found = own(alice)
    assert (found["object"], found["id"], found["name"]) == ("project", alice.project_id, "alice's team")
    assert (found["spend_limit"], found["approval_limit"]) == (None, None)
    counts = {"preparing": 0, "waiting": 0, "active": 0, "paused": 0}
    assert found["queue"] == {**counts, "queue_position": None, "models": []}
    assert found["usage"]["cost"] == "0.00"


def test_its_numbers_are_those_of_the_administration(alice: Person, operator: Operator) -> None:
    operator.limit(alice, 10_000)
    operator.post(alice, "approval_limit", currency="USD", threshold_amount=5_000)
    operator.post(alice, "ledger", amount="1.25", currency="USD", reason="a correction")
    operator.post(alice, "model_permissions", mode="allow_list", model_ids=["gpt-4o-mini"])
    operator.post(alice, "", weight=2.0, max_active_jobs=3)
    alice.create_job(training_file=counted_file(alice))
    found = own(alice)
    for name in ("spend_limit", "approval_limit", "model_permissions"):
        assert found[name] == of_admin(operator, alice, f"/{name}")
    assert found["spend_limit"]["spent"] == "1.25"
    assert found["project"] == of_admin(operator, alice)
    usage = of_admin(operator, alice, "/usage")
    assert {**found["usage"], "end_time": 0} == {**usage, "end_time": 0}
    assert (usage["jobs"]["created"], usage["files"], usage["cost"]) == (1, 1, "1.25")


def test_it_has_the_rate_limits_of_the_project_and_of_this_key_alone(alice: Person, operator: Operator) -> None:
    with transaction() as session:
        other, _ = projects.create_api_key(session, alice.project_id, "another")
    operator.post(alice, f"rate_limits/rl-{alice.project_id}", max_requests_per_1_minute=900)
    everything = of_admin(operator, alice, "/rate_limits")["data"]
    shown = own(alice)["rate_limits"]
    assert shown == [each for each in everything if each["api_key_id"] != other.id]
    assert [each["api_key_id"] is None for each in shown] == [True, False]
    assert shown[0]["max_requests_per_1_minute"] == 900


def test_its_queue_tells_who_waits_and_where(alice: Person, bob: Person, operator: Operator, sandbox: Sandbox) -> None:
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 1}'):
        first = queued_job(alice)
        admit()
        assert held() == [first]
        file_id = row(Job, first).training_file
        waiting = [waiting_job(alice, file_id) for _ in range(2)]
        alice.create_job()
        change(Job, first, provider_job_id="ftjob-theirs")
        rank()
        found = own(alice)["queue"]
        queues = operator.http.get("/queues", params={"project_id": alice.project_id}).json()["data"]
    counts = {"preparing": 1, "waiting": 2, "active": 1, "paused": 0}
    assert {name: found[name] for name in counts} == counts
    assert found["queue_position"] == 1 == row(Job, waiting[0]).queue_position
    assert found["models"] == queues
    [queue] = queues
    assert {name: queue[name] for name in counts} == counts
    assert (queue["model"], queue["max_concurrent_jobs"]) == ("gpt-4o-mini", 1)
    assert own(bob)["queue"]["models"] == []


@pytest.mark.parametrize("scope", ["files:read", "jobs:write"])
def test_a_key_without_the_scope_reads_nothing(alice: Person, scope: str) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, alice.project_id, "narrow", scopes=[scope])
    answer = send(alice, "GET", "/project", headers={"authorization": f"Bearer {secret}"})
    assert (answer.status, answer.error["code"]) == (403, "insufficient_permissions")


def test_an_admin_key_has_no_project(operator: Operator, alice: Person) -> None:
    key = operator.http.headers["authorization"]
    assert send(alice, "GET", "/project", headers={"authorization": key}).status == 403
