"""Audit entries of refused requests, and that entries cannot be changed."""

import json

import anyio
import pytest
from openai import OpenAI
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from api.audit.refusals import MAX_ENTRIES_PER_KIND, Refusals
from shared.audit import service as audit
from shared.audit.actor import Actor
from shared.audit.models import REFUSED, AuditLog
from shared.database import transaction
from shared.db.times import utc_now
from tests.api.audited import entries, post
from tests.api.conftest import running_under
from tests.api.wire import send
from tests.world import Person, as_owner


def test_a_request_that_changes_nothing_leaves_no_entry(alice: Person) -> None:
    job_id = alice.create_job()
    for _ in range(2):
        send(alice, "POST", f"/fine_tuning/jobs/{job_id}/cancel")
    new = json.dumps({"name": "ci", "url": "https://example.com", "event_types": ["dataset.failed"]}).encode()
    for _ in range(2):
        send(alice, "POST", "/webhook_endpoints", new, {"Idempotency-Key": "k"})
    assert [entry.type for entry in entries()][1:] == [
        "fine_tuning.job.created",
        "fine_tuning.job.cancelled",
        "change.refused",
        "webhook_endpoint.created",
    ]


def test_a_refused_change_is_an_entry_of_its_own(alice: Person, bob: Person) -> None:
    file_id = alice.upload()
    send(bob, "DELETE", f"/files/{file_id}", headers={"x-request-id": "req-8"})
    send(alice, "POST", "/organization/projects", b'{"name": "mine"}')
    send(bob, "GET", f"/files/{file_id}")
    first, second = entries(type="change.refused")
    assert (first.project_id, first.resource_id, first.request_id) == (bob.project_id, file_id, "req-8")
    assert first.details == {"status": 404, "error_code": "not_found", "attempted": "file.deleted"}
    assert second.details["error_code"] == "insufficient_permissions"
    assert second.details["attempted"] == "project.created"


def test_failed_authentications_are_counted_when_they_are_many(alice: Person) -> None:
    with running_under() as (address, process):
        stranger = Person(address, "sk-tun-guessed", "")
        for _ in range(25):
            assert send(stranger, "GET", "/files").status == 401
        stranger.close()
        process.terminate()
        process.wait()
    failed = entries(type="login.failed")
    assert [entry.count for entry in failed] == [1] * 10 + [15]
    assert {(entry.address, entry.actor) for entry in failed} == {("127.0.0.1", "unknown")}
    assert failed[0].details == {"status": 401, "error_code": "invalid_api_key"}


def test_counted_refusals_are_written_at_the_end_of_the_period_without_another_request(clean: str) -> None:
    async def flood() -> None:
        refusals = Refusals(period_seconds=0.3)
        for _ in range(MAX_ENTRIES_PER_KIND + 5):
            await refusals.record(AuditLog.by(Actor("unknown", address="203.0.113.9"), REFUSED, None, None, {}))
        with anyio.fail_after(60):
            while sum(entry.count for entry in entries(address="203.0.113.9")) < MAX_ENTRIES_PER_KIND + 5:
                await anyio.sleep(0.02)

    anyio.run(flood)
    assert max(entry.count for entry in entries(type=REFUSED)) == 5


def test_the_audit_log_contains_no_secrets(alice: Person, admin: OpenAI) -> None:
    new = {"name": "marked", "url": "https://example.com/marked", "event_types": ["dataset.failed"]}
    secret = post(alice, "/webhook_endpoints", new)["signing_secret"]
    send(alice, "DELETE", "/files/sk-marked0123456789")
    send(Person(alice.base_url, "sk-tun-marked", ""), "GET", "/files")
    alice.upload(name="marked.jsonl")
    admin.admin.organization.projects.create(name="marked")
    kept = "".join(entry.model_dump_json(exclude={"previous_hash"}) for entry in entries())
    assert len(entries()) == 5
    assert [each for each in (secret, "marked", alice.api_key, str(admin.admin_api_key)) if each in kept] == []


@pytest.mark.parametrize("change", ["update audit_logs set count = 2", "delete from audit_logs", "truncate audit_logs"])
def test_the_database_refuses_to_change_or_delete_an_entry(alice: Person, change: str) -> None:
    alice.upload()
    with pytest.raises(ProgrammingError, match="append-only"), as_owner() as session:
        session.execute(text(change))
    with pytest.raises(ProgrammingError, match="permission denied"), transaction() as session:
        session.execute(text(change))
    assert len(entries(type="file.created")) == 1  # counted refusals of the test before may be written meanwhile


def test_pruning_old_entries_is_recorded_in_an_entry(alice: Person) -> None:
    alice.upload()
    with as_owner() as session:
        assert audit.prune(session, utc_now()) == 1
    [pruned] = entries()
    assert (pruned.type, pruned.actor, pruned.details["removed"]) == ("audit_log.pruned", "operator", 1)
