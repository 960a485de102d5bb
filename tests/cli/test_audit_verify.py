"""`tunery audit verify`: what was done to entries behind the servers' back, which needs a superuser of Postgres."""

import json
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from shared.audit.models import AuditChain, AuditLog
from shared.database import transaction
from shared.db.times import utc_now
from tests.cli.terminal import Tunery
from tests.world import Person, as_owner, row

CHANGE = "update audit_logs set details = '{{\"id\": 1}}' where id = '{third}'"
DELETE = "delete from audit_logs where id = '{third}'"
DELETE_FIRST = "delete from audit_logs where id = '{first}'"
DELETE_LAST = "delete from audit_logs where id = '{last}'"
DELETE_ALL = "delete from audit_logs"
INSERT = (
    'insert into audit_logs select (jsonb_populate_record(audit_logs, \'{{"id": "audit_log-x"}}\')).*'
    " from audit_logs where id = '{third}'"
)
INSERT_WITHOUT_PLACE = (
    'insert into audit_logs select (jsonb_populate_record(audit_logs, \'{{"id": "audit_log-x",'
    ' "chain_position": null, "previous_hash": null}}\')).* from audit_logs where id = \'{third}\''
)
APPEND = (
    'insert into audit_logs select (jsonb_populate_record(audit_logs, \'{{"id": "audit_log-x",'
    " \"chain_position\": 7}}')).* from audit_logs where id = '{last}'"
)
SWAP = (
    "update audit_logs a set type = b.type, resource_id = b.resource_id from audit_logs b"
    " where (a.id, b.id) in (('{first}', '{third}'), ('{third}', '{first}'))"
)
SWAP_PLACES = (
    "update audit_logs a set chain_position = b.chain_position, previous_hash = b.previous_hash from audit_logs b"
    " where (a.id, b.id) in (('{first}', '{third}'), ('{third}', '{first}'))"
)
CHANGE_LAST = "update audit_logs set type = 'file.deleted' where id = '{last}'"


def add_entry(person: Person, resource_id: str | None = None) -> None:
    owner = person.project_id
    with transaction(owner) as session:
        session.add(AuditLog(type="file.created", actor="api_key", project_id=owner, resource_id=resource_id))


@pytest.fixture
def entries(alice: Person) -> list[str]:
    """The ids of six entries of Alice's project, in their order."""
    for number in range(6):
        add_entry(alice, resource_id=f"file-{number}")
    with transaction() as session:
        rows = session.execute(
            text("select id from audit_logs where project_id = :project order by chain_position"),
            {"project": alice.project_id},
        )
        return list(rows.scalars())


def tamper(statement: str, ids: list[str]) -> None:
    """As a superuser, with all triggers off."""
    named = statement.format(first=ids[0], third=ids[2], last=ids[-1])
    with as_owner() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.connection().exec_driver_sql(named)


def verify(tunery: Tunery, *options: str, status: int = 0) -> dict[str, object]:
    said = tunery("audit", "verify", "--json", *options)
    assert said.code == status
    found: dict[str, object] = json.loads(said.out)
    return found


def test_entries_that_nobody_touched_follow_each_other(tunery: Tunery, alice: Person, entries: list[str]) -> None:
    found = verify(tunery)
    assert (found["status"], found["problems"]) == ("ok", [])
    assert found["heads"][alice.project_id]["entries"] == 6  # type: ignore[index]
    assert "Each follows the one before it." in tunery("audit", "verify").out


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        pytest.param(CHANGE, {("changed", 3)}, id="change"),
        pytest.param(CHANGE_LAST, {("changed", 6)}, id="change-last"),
        pytest.param(DELETE, {("missing", 3)}, id="delete"),
        pytest.param(DELETE_FIRST, {("missing", 1)}, id="delete-first"),
        pytest.param(DELETE_LAST, {("missing", 6)}, id="delete-last"),
        pytest.param(DELETE_ALL, {("missing", 1)}, id="delete-all"),
        pytest.param(INSERT, {("added", 3)}, id="insert"),
        pytest.param(INSERT_WITHOUT_PLACE, {("added", None)}, id="insert-without-place"),
        pytest.param(APPEND, {("added", 7), ("changed", 6)}, id="append"),
        pytest.param(SWAP, {("changed", 1), ("changed", 3)}, id="swap"),
        pytest.param(SWAP_PLACES, {("changed", 1), ("changed", 3)}, id="swap-places"),
    ],
)
def test_what_was_done_is_found_with_its_place(
    tunery: Tunery, alice: Person, entries: list[str], statement: str, wrong: set[tuple[str, int | None]]
) -> None:
    tamper(statement, entries)
    found = verify(tunery, status=1)
    problems: list[dict[str, object]] = found["problems"]  # type: ignore[assignment]
    assert found["status"] == "fail"
    assert {(each["kind"], each["position"]) for each in problems} == wrong
    assert {each["chain"] for each in problems} == {alice.project_id}
    assert "Each follows" not in tunery("audit", "verify").out


def test_the_entry_that_was_changed_is_named(tunery: Tunery, entries: list[str]) -> None:
    tamper(CHANGE, entries)
    assert entries[2] in tunery("audit", "verify").out


def test_a_chain_that_was_written_anew_is_found_by_the_heads_of_before(
    tunery: Tunery, alice: Person, entries: list[str], tmp_path: Path
) -> None:
    kept = tmp_path / "heads.json"
    kept.write_text(tunery("audit", "verify", "--json").out)
    assert verify(tunery, "--against", str(kept))["status"] == "ok"
    tamper(
        "update audit_chains set entries = 5, hash = (select previous_hash from audit_logs where id = '{last}')"
        f" where chain = '{alice.project_id}'; {DELETE_LAST}",
        entries,
    )
    add_entry(alice)
    found = verify(tunery, "--against", str(kept), status=1)
    assert [(each["kind"], each["position"]) for each in found["problems"]] == [("changed", 6)]  # type: ignore[attr-defined]
    assert "is not what" in tunery("audit", "verify", "--against", __file__).err


def test_what_was_pruned_is_not_missing(tunery: Tunery, alice: Person, entries: list[str]) -> None:
    tunery("audit", "prune", "--before", f"{utc_now():%Y-%m-%dT%H:%M:%S}")
    add_entry(alice)
    tunery("audit", "prune", "--before", "2100-01-01")
    add_entry(alice)
    found = verify(tunery)
    assert (found["status"], found["entries"]) == ("ok", 2)  # the last one, and that of the last prune
    assert row(AuditChain, alice.project_id).pruned == 7


def test_writers_at_once_make_one_chain(tunery: Tunery, alice: Person, bob: Person) -> None:
    def write(person: Person) -> None:
        for _ in range(20):
            add_entry(person)

    threads = [Thread(target=write, args=(person,)) for person in (alice, bob) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(tunery)
    assert (found["status"], found["entries"]) == ("ok", 120)


def test_a_place_and_a_hash_that_a_server_gives_do_not_count(tunery: Tunery, alice: Person) -> None:
    with transaction(alice.project_id) as session:
        forged = AuditLog(
            type="file.created", actor="api_key", project_id=alice.project_id, chain_position=77, previous_hash=b"x"
        )
        session.add(forged)
    written = row(AuditLog, forged.id)
    assert (written.chain_position, written.previous_hash) == (1, b"")
    assert verify(tunery)["status"] == "ok"
