"""Postgres and Valkey of our own: they start, keep what they are told to keep, and survive being killed."""

import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from cli.embedded import postgres, postgres_home, temporary
from cli.embedded.binaries import find_pg_bin
from cli.processes import ports

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root has to become somebody else")


def ask(url: str, question: str) -> object:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(question).fetchone()
        return row[0] if row else None


def tell(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(statement)


def test_postgres_speaks_utf8_in_a_database_of_its_own_and_is_gone_afterwards() -> None:
    with temporary.postgres() as url:
        data = Path(str(ask(url, "show data_directory")))
        assert ask(url, "show server_encoding") == "UTF8"
        assert ask(url, "show fsync") == "off"
        assert data.exists()
    assert not data.exists()
    with pytest.raises(psycopg.OperationalError):
        ask(url, "select 1")


def test_postgres_takes_nobody_without_the_password() -> None:
    with temporary.postgres() as url, pytest.raises(psycopg.OperationalError, match="password"):
        ask(url.replace(":" + url.split(":")[2].split("@")[0], ":wrong"), "select 1")


def test_data_is_found_again_by_the_next_start(tmp_path: Path) -> None:
    with temporary.postgres(tmp_path, durable=True) as url:
        tell(url, "create table kept as select 'a sonnet' as line")
    with temporary.postgres(tmp_path, durable=True) as url:
        assert ask(url, "select line from kept") == "a sonnet"
        assert ask(url, "show fsync") == "on"
    postgres_home.remove(tmp_path)


def test_passwords_are_for_their_owner_alone(tmp_path: Path) -> None:
    with temporary.postgres(tmp_path), temporary.valkey(tmp_path):
        place = postgres_home.place_for_data(tmp_path, postgres_home.account_for_postgres())
        for secret in (place / "password", tmp_path / "valkey" / "password", tmp_path / "valkey" / "valkey.conf"):
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    postgres_home.remove(tmp_path)


def test_a_lock_file_left_by_a_kill_does_not_block_the_next_start(tmp_path: Path) -> None:
    """Not even when another program has the number of the killed one by now: this very test has."""
    with temporary.postgres(tmp_path) as url:
        tell(url, "create table kept (id int)")
    cluster = postgres.find_or_prepare(tmp_path)
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data}\n0\n1\n\n127.0.0.1\n0 0\nready\n")
    with temporary.postgres(tmp_path) as url:
        assert ask(url, "select count(*) from kept") == 0
    postgres_home.remove(tmp_path)


def test_a_server_that_outlived_its_starter_is_ended_before_the_next_one_starts(tmp_path: Path) -> None:
    cluster = postgres.find_or_prepare(tmp_path)
    with ports.held() as port:
        survivor = cluster.ready_to_start(port, log=tmp_path / "log", durable=False).start()
        survivor.wait_until(lambda: cluster.is_ready(survivor))
        with temporary.postgres(tmp_path) as url:
            assert ask(url, "select 1") == 1
            assert not survivor.is_alive
    postgres_home.remove(tmp_path)


@AS_ROOT
def test_below_a_closed_folder_the_data_lies_where_nobody_can_reach_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with temporary.postgres(tmp_path / "state") as url:
        data = Path(str(ask(url, "show data_directory")))
        assert not data.is_relative_to(tmp_path)
        assert data.owner() == "nobody"
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    postgres_home.remove(tmp_path / "state")
    assert not data.exists()


@AS_ROOT
def test_programs_below_a_closed_folder_are_copied_with_their_libraries(tmp_path: Path) -> None:
    package = find_pg_bin().parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in package.parent.glob(f"{package.name}*"):  # the programs, their libraries, and the wheel's metadata
        (closed / folder.name).symlink_to(folder)
    place = Path("/var/tmp") / f"tunery-test-{os.getpid()}"
    place.mkdir()
    programs = postgres_home.programs_for(
        postgres_home.account_for_postgres(), closed / package.name / "pginstall" / "bin", place
    )
    assert programs.is_relative_to(place)
    assert postgres_home.is_reachable(programs / "postgres")
    said = subprocess.run([programs / "postgres", "--version"], user="nobody", cwd="/", capture_output=True, check=True)
    assert b"PostgreSQL" in said.stdout
    postgres_home.remove(place)


def test_valkey_keeps_what_it_was_told_to_keep(tmp_path: Path) -> None:
    with temporary.valkey(tmp_path, durable=True) as url, redis.from_url(url) as client:
        client.set("line", "a sonnet")
    with temporary.valkey(tmp_path, durable=True) as url, redis.from_url(url) as client:
        assert client.get("line") == b"a sonnet"


def test_valkey_takes_nobody_without_the_password() -> None:
    with temporary.valkey() as url:
        stranger = redis.from_url("redis://" + url.split("@")[1])
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_the_password_is_not_on_the_command_line() -> None:
    with temporary.valkey() as url, temporary.postgres() as database_url:
        secrets = [url.split(":")[2].split("@")[0], database_url.split(":")[2].split("@")[0]]
        lines: list[str] = []
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a process of Postgres may end in between
                lines.append(" ".join(child.cmdline()))
        assert len(lines) >= 2
        assert not [line for line in lines for secret in secrets if secret in line]
