"""/v1/organization/audit_logs: who changed what and from where, in the shape of OpenAI's API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from api.audit.middleware import CHANGES, CHANGING_METHODS, NO_CHANGES
from api.main import create_app
from shared.audit.models import AuditLog
from shared.database import transaction
from shared.db.ids import made_at
from shared.db.times import utc_now
from tests.api.audited import entries
from tests.api.changing import MORE_THAN_ONCE, change_everything
from tests.api.conftest import running_under
from tests.api.wire import send
from tests.servers import Receiver
from tests.world import Person, Sandbox, lines


@pytest.fixture
def auditor(admin: OpenAI) -> Iterator[OpenAI]:
    """The operator's client, not strict: some event types are not OpenAI's."""
    with OpenAI(base_url=admin.base_url, api_key="", admin_api_key=admin.admin_api_key, max_retries=0) as auditor:
        yield auditor


def changing_routes() -> dict[str, str]:
    found = {}
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            if CHANGING_METHODS & (getattr(each, "methods", None) or set()):
                found[each.endpoint.__name__] = f"{each.methods} {each.path}"
    return found


@pytest.mark.usefixtures("server")
def test_every_changing_route_has_an_audit_event_type() -> None:
    routes = changing_routes()
    assert len(routes) > 20
    assert [routes[name] for name in routes.keys() - CHANGES.keys() - NO_CHANGES.keys()] == []
    assert (CHANGES.keys() | NO_CHANGES.keys()) - routes.keys() == set(), "these are no routes any more"
    assert CHANGES.keys() & NO_CHANGES.keys() == set()


# The sandbox of these tests needs no deployments; test_deployments.py finds their entries.
OF_DEPLOYMENTS = {"deployment.created", "deployment.stopped"}


def test_each_kind_of_change_leaves_one_entry_of_its_type(
    alice: Person, admin: OpenAI, sandbox: Sandbox, receiver: Receiver
) -> None:
    change_everything(alice, admin, sandbox, receiver)
    found = [entry.type for entry in entries() if entry.actor == "api_key"]
    known = {type for changes in CHANGES.values() for type in changes.values()}
    assert set(found) == known - OF_DEPLOYMENTS
    assert [type for type in sorted(set(found)) if found.count(type) > 1] == MORE_THAN_ONCE
    # Failed authentications of earlier tests are counted, and written up to a minute later.
    assert {entry.type for entry in entries() if entry.actor != "api_key"} <= {"login.failed"}


def test_an_entry_has_actor_resource_address_and_request_id(alice: Person, auditor: OpenAI) -> None:
    headers = {"x-request-id": "req-7", "x-forwarded-for": "203.0.113.9"}
    file = send(alice, "POST", "/datasets", json.dumps({"examples": _examples()}).encode(), headers).json
    event_types: Any = ["dataset.created"]  # not among OpenAI's
    [entry] = auditor.admin.organization.audit_logs.list(event_types=event_types)
    said = entry.to_dict()
    [key_id] = {each.api_key_id for each in entries() if each.project_id == alice.project_id}
    assert said["actor"] == {"type": "api_key", "api_key": {"id": key_id}, "session": None}
    assert said["dataset.created"] == {"id": file["id"]}
    assert said["project"] == {"id": alice.project_id, "name": "alice's team"}
    assert (said["request_id"], said["result"], said["count"]) == ("req-7", "done", 1)
    assert said["ip_address"] == "203.0.113.9"  # the sender is a proxy that FORWARDED_ALLOW_IPS trusts
    assert abs(entry.effective_at - utc_now().timestamp()) < 60


def _examples() -> list[Any]:
    return [json.loads(line) for line in lines().splitlines()]


def test_a_forwarded_address_of_an_untrusted_proxy_is_ignored(alice: Person) -> None:
    with running_under(FORWARDED_ALLOW_IPS="10.0.0.1") as (address, _):
        there = Person(address, alice.api_key, alice.project_id)
        send(there, "DELETE", f"/files/{alice.upload()}", headers={"x-forwarded-for": "203.0.113.9"})
        there.close()
    assert [entry.address for entry in entries(type="file.deleted")] == ["127.0.0.1"]


def test_the_sdk_reads_openais_event_types_in_strict_mode(admin: OpenAI) -> None:
    projects = admin.admin.organization.projects
    made = projects.create(name="search")
    projects.rate_limits.update_rate_limit(f"rl-{made.id}", project_id=made.id, max_requests_per_1_minute=9)
    logs = admin.admin.organization.audit_logs
    updated, created = logs.list(event_types=["project.created", "rate_limit.updated"])
    assert created.project_created
    assert created.project_created.id == made.id
    assert updated.rate_limit_updated
    assert updated.rate_limit_updated.changes_requested
    assert updated.rate_limit_updated.changes_requested.max_requests_per_1_minute == 9


def test_filters_and_pages_work_as_at_openai(alice: Person, bob: Person, auditor: OpenAI) -> None:
    logs = auditor.admin.organization.audit_logs
    hers, his = [alice.upload(name=f"{number}.jsonl") for number in range(3)], bob.upload()
    [key_id] = {entry.api_key_id for entry in entries(project_id=bob.project_id)}
    assert key_id
    newest_first = [entry.id for entry in reversed(entries())]
    assert [each.id for each in logs.list(limit=2)] == newest_first
    assert [each.id for each in logs.list(before=newest_first[2], limit=2).data] == newest_first[:2]
    assert _about(logs.list(project_ids=[alice.project_id])) == hers[::-1]
    assert _about(logs.list(actor_ids=[key_id])) == _about(logs.list(resource_ids=[his])) == [his]
    assert _about(logs.list(actor_ids=["operator"])) == []
    second = int(made_at(newest_first[0]).timestamp())
    assert _about(logs.list(effective_at={"gt": second})) == []
    assert len(_about(logs.list(effective_at={"gte": second - 60, "lte": second}))) == 4
    assert _about(logs.list(effective_at={"lt": second - 60})) == []
    with pytest.raises(BadRequestError, match="actor_emails is not supported"):
        logs.list(actor_emails=["alice@example.com"])


def _about(page: Any) -> list[str]:
    return [entry.to_dict()[entry.type]["id"] for entry in page]


def test_an_export_has_all_entries_except_those_of_the_last_seconds(alice: Person, admin: OpenAI) -> None:
    old = AuditLog(id="audit_log-01m0000000000000000000000a", type="project.created", actor="operator")
    with transaction() as session:
        session.add(old)
    alice.upload()
    operator = Person(alice.base_url, str(admin.admin_api_key), "")
    answer = send(operator, "GET", "/organization/audit_logs", headers={"accept": "application/x-ndjson"})
    operator.close()
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == [old.id]
