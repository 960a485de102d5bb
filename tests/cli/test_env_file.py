"""Settings that are not in the environment: of a running `up`, else of the checkout's `.env`, never of both."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import running_up, secret_files
from cli.running_up import Filled
from shared.setting_problems import unknown
from shared.settings import Settings


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNERY_STATE", str(tmp_path))
    (tmp_path / ".env").write_text("TUNERY_STORAGE=/of/the/file\nPORT=8001\nPOSTGRES_PASSWORD=x\nTUNERY_LOG_LEVEL=\n")
    secret_files.write_json(tmp_path / "settings.json", {"DATABASE_URL": "postgresql://up", "TUNERY_STORAGE": "/up"})
    return tmp_path


@pytest.fixture
def up(state: Path) -> Iterator[None]:
    with (state / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_the_file_of_the_checkout_is_read_when_nothing_runs(state: Path) -> None:
    environ = {"PORT": "9000"}
    assert running_up.fill(environ, state / ".env") == Filled(".env", frozenset({"TUNERY_STORAGE"}))
    assert environ == {"PORT": "9000", "TUNERY_STORAGE": "/of/the/file"}


@pytest.mark.usefixtures("up")
def test_a_running_up_comes_first_and_the_environment_before_it(state: Path) -> None:
    environ = {"TUNERY_STORAGE": "/mine"}
    assert running_up.fill(environ, state / ".env") == Filled(running_up.OF_UP, frozenset({"DATABASE_URL"}))
    assert environ == {"TUNERY_STORAGE": "/mine", "DATABASE_URL": "postgresql://up"}


@pytest.mark.usefixtures("up")
def test_the_environment_of_another_installation_gets_nothing(state: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://other"}
    assert running_up.fill(environ, state / ".env") == Filled()
    assert environ == {"DATABASE_URL": "postgresql://other"}


def test_a_container_reads_no_file(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNERY_STATE")
    assert running_up.fill({}, state / ".env") == Filled()


def test_a_misspelt_name_in_the_file_is_refused_as_one_in_the_environment_is(state: Path) -> None:
    (state / ".env").write_text("TUNERY_POLL_EVRY=1\n")
    environ: dict[str, str] = {}
    running_up.fill(environ, state / ".env")
    assert unknown(Settings, environ) == ["TUNERY_POLL_EVRY is not a setting. The nearest one is TUNERY_POLL_EVERY."]
