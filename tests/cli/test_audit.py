"""`tunery audit`, and that what is done at the command line is in the audit too."""

import ast
import json
from datetime import timedelta
from pathlib import Path

import pytest

from cli.local import commands
from shared.audit.models import AuditLog
from shared.database import transaction
from shared.db.ids import first_id
from shared.db.times import utc_now
from shared.projects.models import ApiKey
from tests.api.audited import entries
from tests.cli.terminal import Tunery
from tests.worker.support import ids
from tests.world import Person, work

# The modules that change rows without a server, and why the audit needs no word of theirs, if it does not.
AT_THE_DATABASE = {
    "cli/admin/admin_keys.py": "says so itself",
    "cli/admin/audit.py": "to remove entries is an entry itself",
    "cli/admin/deployment.py": "changes the schema",
    "cli/admin/reconcile.py": "does what a worker does once a day",
    "cli/backup/restoring.py": "writes a whole database, with its entries, into an empty one",
    "cli/backup/writing.py": "changes nothing",
    "cli/explain.py": "changes nothing: it only knows the sentence about a database that is not migrated",
    "cli/admin/secrets_rotation.py": "seals the same secrets anew, or removes what no key opens any more",
    "cli/local/seed.py": "says so itself",
}


def imports_of(file: Path) -> set[str]:
    """Of whole modules, wherever in the file they stand."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_only_commands_that_must_work_without_a_server_work_on_the_database() -> None:
    files = (commands.ROOT / "cli").rglob("*.py")
    found = {str(file.relative_to(commands.ROOT)) for file in files if "shared.database" in imports_of(file)}
    assert found == AT_THE_DATABASE.keys()


@pytest.mark.usefixtures("as_admin")
def test_what_an_admin_key_does_at_the_command_line_is_in_the_audit(tunery: Tunery) -> None:
    tunery("project", "create", "search")
    project, key = (entry.resource_id or "" for entry in entries())
    tunery("project", "update", project, "--weight", "2")
    tunery("key", "revoke", key)
    found = entries()
    [admin_key] = [id for id in ids(ApiKey) if id != key]
    assert {(entry.actor, entry.api_key_id, entry.project_id) for entry in found} == {("api_key", admin_key, project)}
    assert [entry.type for entry in found] == [
        "project.created",
        "api_key.created",
        "project.updated",
        "api_key.deleted",
    ]
    assert found[2].details["changed"]["weight"] == {"before": 1.0, "after": 2.0}
    table = tunery("audit", "list", "--type", "project.updated").out.splitlines()
    assert len(table) == 2
    assert ["project.updated", admin_key, project, project] == table[1].split()[2:6]


@pytest.mark.usefixtures("as_admin")
def test_what_an_operator_does_at_the_database_is_in_the_audit(tunery: Tunery) -> None:
    made = tunery("admin-key", "create").err.split()[1]
    tunery("admin-key", "rotate", made)
    tunery("admin-key", "revoke", made)
    found = entries()
    assert {(entry.actor, entry.resource_id, entry.project_id) for entry in found} == {("operator", made, None)}
    assert [entry.type for entry in found] == ["api_key.created", "api_key.secret_rotated", "api_key.deleted"]
    rows = tunery("audit", "list", "--actor", "operator", "--limit", "2").out.splitlines()[1:]
    assert [row.split()[2:5] for row in rows] == [
        ["api_key.deleted", "operator", made],
        ["api_key.secret_rotated", "operator", made],
    ]


def test_the_worker_leaves_nothing_there(alice: Person) -> None:
    alice.create_job()
    before = ids(AuditLog)
    work(4)
    assert ids(AuditLog) == before


@pytest.mark.usefixtures("as_admin")
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
