"""`tunery audit`, and that what the operator does at the command line stands there too."""

import json
from datetime import timedelta

import pytest
from typer.main import get_command

from cli.__main__ import app
from cli.admin.audit import CHANGES, NO_CHANGES
from shared.audit.models import AuditLog
from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import utc_now
from tests.api.audited import entries
from tests.cli.terminal import Tunery
from tests.worker.levers import ids
from tests.world import Person, work


def commands() -> set[str]:
    """By their first two words; a group that changes nothing at all by its first."""
    found = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found |= {f"{name} {each}" for each in below} if below and name not in NO_CHANGES else {name}
    return found


def test_every_command_says_what_it_changes() -> None:
    assert len(commands()) > 15
    assert commands() == CHANGES.keys() | NO_CHANGES.keys()


@pytest.mark.usefixtures("clean")
def test_what_the_operator_does_stands_in_the_audit(tunery: Tunery) -> None:
    tunery("project", "create", "search")
    project, key = (entry.resource_id or "" for entry in entries())
    tunery("project", "update", project, "--weight", "2")
    tunery("key", "revoke", key)
    found = entries()
    assert {(entry.actor, entry.project_id) for entry in found} == {("operator", project)}
    assert [entry.type for entry in found] == [
        "project.created",
        "api_key.created",
        "project.updated",
        "api_key.deleted",
    ]
    assert found[2].details["changed"]["weight"] == {"before": 1.0, "after": 2.0}
    table = tunery("audit", "list", "--type", "project.updated").out.splitlines()
    assert len(table) == 2
    assert ["project.updated", "operator", project, project] == table[1].split()[2:6]


def test_the_worker_leaves_nothing_there(alice: Person) -> None:
    alice.create_job()
    before = ids(AuditLog)
    work(4)
    assert ids(AuditLog) == before


@pytest.mark.usefixtures("clean")
def test_an_export_goes_on_after_the_last_one_and_old_entries_can_be_pruned(tunery: Tunery) -> None:
    now = utc_now()
    with transaction() as session:
        for days in (9, 5, 1):
            id = first_id(AuditLog.id_prefix, now - timedelta(days=days))
            session.add(AuditLog(id=id, type="project.created", actor="operator", resource_id=f"proj_{days}"))
    lines = [json.loads(line) for line in tunery("audit", "export").out.splitlines()]
    assert [line["project.created"]["id"] for line in lines] == ["proj_9", "proj_5", "proj_1"]
    rest = tunery("audit", "export", "--after", lines[1]["id"]).out.splitlines()
    assert [json.loads(line)["id"] for line in rest] == [lines[2]["id"]]
    said = tunery("audit", "prune", "--before", f"{now - timedelta(days=3):%Y-%m-%d}")
    assert said.out.startswith("Removed 2 entries")
    assert [entry.type for entry in entries()] == ["project.created", "audit_log.pruned"]
