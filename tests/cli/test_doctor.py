"""`tunery doctor`: what works, what does not and what to do, without a secret and without a traceback."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli.doctor.result import Result, Status, fail, ok, run
from cli.local import commands
from shared.database import transaction
from shared.db.revisions import newest_revision
from shared.settings import get_settings
from tests.brokers import deaf_redis
from tests.world import Sandbox, as_owner, variables_of_this_test

SECRET = "hunter2"
NOWHERE = "127.0.0.1:1"


def doctor(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("TUNERY_", "AWS_"))}
    command = [sys.executable, "-m", "cli", "doctor", *arguments]
    given = bare | variables_of_this_test() | environ
    return subprocess.run(
        command, env=given, cwd=commands.ROOT, capture_output=True, text=True, check=False, timeout=110
    )


def report(**environ: str) -> dict[str, Any]:
    done = doctor("--json", **environ)
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if found["status"] == "fail" else 0)
    return found


def lines(found: dict[str, Any], check: str) -> list[tuple[str, str]]:
    return [(each["status"], each["found"]) for each in found["checks"] if each["check"] == check]


@pytest.mark.usefixtures("clean")
def test_without_an_installation_it_says_how_to_get_one(tmp_path: Path) -> None:
    found = report(DATABASE_URL="", TUNERY_STATE=str(tmp_path))
    [missing] = [each for each in found["checks"] if each["check"] == "settings" and "DATABASE_URL" in each["found"]]
    assert missing["advice"].endswith("Or start ./tunery up: while it runs, its settings are taken.")


@pytest.mark.usefixtures("clean")
def test_what_works_is_ok_and_each_line_that_is_not_says_what_to_do(sandbox: Sandbox, tmp_path: Path) -> None:
    found = report(TUNERY_STORAGE=str(tmp_path))
    for check in (
        "settings",
        "database",
        "connections",
        "clock",
        "tables",
        "broker",
        "storage",
        "provider",
        "metrics",
        "versions",
    ):
        assert [status for status, _ in lines(found, check)] == ["ok"], found
    assert lines(found, "schema") == [("ok", f"at revision {newest_revision()}, the newest")]
    assert all(each["advice"] for each in found["checks"] if each["status"] != "ok")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("clean")
def test_more_connections_than_postgres_takes_are_told_before_they_are_refused(sandbox: Sandbox) -> None:
    found = report(WEB_CONCURRENCY="4", TUNERY_API_CONNECTIONS="50", WORKER_CONCURRENCY="8", SENDER_CONCURRENCY="16")
    with transaction() as session:
        most = int(session.connection().execute(text("show max_connections")).scalar_one())
    [(status, sentence)] = lines(found, "connections")
    assert status == "warn"
    assert "one server of each kind opens 240 at most (api 200, worker 18, sender 18, beat 4)" in sentence
    assert f"Postgres has {most - 3} for them (max_connections {most}, 3 reserved)" in sentence
    [advice] = [each["advice"] for each in found["checks"] if each["check"] == "connections"]
    assert "max_connections" in advice


@pytest.mark.usefixtures("clean")
def test_settings_are_shown_with_their_sources_and_secrets_masked(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "TUNERY_SMTP__PASSWORD").write_text(SECRET)
    found = report(
        TUNERY_SECRETS_DIR=str(tmp_path), TUNERY_PROVIDER__WEBHOOK_SECRET=SECRET, AWS_SECRET_ACCESS_KEY=SECRET
    )
    shown = {row["name"]: (row["value"], row["source"]) for row in found["settings"]}
    assert shown["TUNERY_SMTP__PASSWORD"] == ("…", "secret file")
    assert shown["TUNERY_PROVIDER__WEBHOOK_SECRET"] == ("…", "environment")
    assert shown["AWS_SECRET_ACCESS_KEY"] == ("…", "environment")
    assert shown["TUNERY_POLL_EVERY"] == ("5", "default")
    password = re.search(r":([^:@/]+)@", variables_of_this_test()["DATABASE_URL"])
    assert password
    assert password[1] not in json.dumps(found)


@pytest.mark.usefixtures("clean")
def test_everything_that_is_down_is_told_at_once(sandbox: Sandbox) -> None:
    found = report(
        DATABASE_URL=f"postgresql://a:{SECRET}@{NOWHERE}/x",
        REDIS_URL=f"redis://:{SECRET}@{NOWHERE}/0",
        TUNERY_PROVIDER__BASE_URL=f"http://{NOWHERE}/v1",
        TUNERY_STORAGE="/proc/nowhere",
    )
    for check in ("database", "broker", "provider", "storage"):
        [(status, _)] = lines(found, check)
        assert status == "fail", found


@pytest.mark.usefixtures("clean")
def test_a_refused_key_is_told_from_a_wrong_address(sandbox: Sandbox) -> None:
    done = doctor(TUNERY_PROVIDER__API_KEY=f"sk-{SECRET}")
    assert done.returncode == 1
    assert "     Replace the key in TUNERY_PROVIDER__API_KEY." in done.stdout
    assert SECRET not in done.stdout


@pytest.mark.usefixtures("clean")
def test_a_login_that_may_do_more_than_the_servers_need_is_told(sandbox: Sandbox) -> None:
    [(status, found)] = lines(report(), "roles")
    assert (status, found.split(" takes ")[0]) == ("ok", "tunery_login owns nothing and")
    [(status, found)] = lines(report(DATABASE_URL=get_settings().migration_database_url or ""), "roles")
    assert (status, "is a superuser" in found) == ("warn", True)
    with as_owner() as session:
        session.execute(text("revoke insert on jobs from tunery_server; grant truncate on jobs to tunery_login"))
    [(status, found)] = lines(report(), "roles")
    assert (status, found) == ("fail", "tunery_login lacks rights on jobs")
    with as_owner() as session:
        session.execute(text("grant insert on jobs to tunery_server"))
    [(status, found)] = lines(report(), "roles")
    assert (status, found) == ("warn", "tunery_login has more rights than it needs on jobs")
    with as_owner() as session:
        session.execute(text("revoke truncate on jobs from tunery_login"))


@pytest.mark.usefixtures("clean")
def test_a_database_that_is_not_migrated_is_told_with_the_command(sandbox: Sandbox, empty_database: str) -> None:
    found = report(DATABASE_URL=empty_database)
    assert lines(found, "schema") == [("fail", "the database is not migrated")]
    assert {"Run `./tunery migrate`."} == {each["advice"] for each in found["checks"] if each["check"] == "schema"}


@pytest.mark.usefixtures("clean")
def test_a_broker_that_never_answers_does_not_hold_it_up(sandbox: Sandbox) -> None:
    with deaf_redis() as deaf:
        found = report(REDIS_URL=deaf.url)
    assert [status for status, _ in lines(found, "broker")] == ["fail"]
    assert [status for status, _ in lines(found, "database")] == ["ok"]


@pytest.mark.usefixtures("server")
def test_wrong_settings_are_all_told_and_nothing_else_is_tried() -> None:
    bare = {"DATABASE_URL": "", "REDIS_URL": "", "TUNERY_POLL_EVRY": SECRET, "TUNERY_WEBHOOK_PORTS": f"[{SECRET}"}
    done = doctor("--json", **bare)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert {each["check"] for each in found["checks"]} == {"settings", "versions"}
    told = " ".join(each["found"] for each in found["checks"])
    assert all(name in told for name in ("TUNERY_POLL_EVRY", "TUNERY_WEBHOOK_PORTS"))


def _raise() -> Iterator[Result]:
    yield ok("it", "begins")
    raise SystemExit("a library gives up")


def _hang(release: Callable[[], object]) -> Iterator[Result]:
    release()
    yield ok("it", "too late")


def test_a_check_that_raises_or_hangs_has_failed() -> None:
    over = threading.Event()
    found = run({"raises": _raise, "hangs": lambda: _hang(over.wait)}, seconds=1)
    over.set()
    assert found[0] == ok("it", "begins")
    assert (found[1].status, found[1].found) == (Status.FAIL, "SystemExit: a library gives up")
    assert found[2] == fail("hangs", "no answer within 1 s", "Check its address and the network.")
