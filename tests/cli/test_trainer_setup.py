"""`tunery trainer setup`: which torch it takes, what it says when it cannot go on; a second run does nothing."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.failure import Failure
from cli.local import commands
from cli.trainer import environment, torch_build

NOWHERE = "http://127.0.0.1:1/simple"
PYTHON = Path("env/bin/python")


def set_up(state: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(state), "TUNERY_STATE": str(state), "PIP_CONFIG_FILE": os.devnull}
    command = [commands.PYTHON, "-m", "cli", "trainer", "setup", *arguments]
    return subprocess.run(command, cwd=commands.ROOT, env=bare | variables, capture_output=True, text=True, check=False)


def made(state: Path, stamp: str) -> Path:
    """An environment that looks whole, without the gigabyte."""
    env = state / "trainer" / "env"
    (env / "bin").mkdir(parents=True)
    (env / "bin" / "python").symlink_to(sys.executable)
    (env / environment.STAMP).write_text(stamp)
    return env


@pytest.mark.timeout(300)
def test_without_a_network_a_sentence_says_so_and_how_much_was_to_come(tmp_path: Path) -> None:
    said = set_up(tmp_path, PIP_INDEX_URL=NOWHERE, PIP_RETRIES="0")
    assert said.returncode == 1
    assert " MB.\n" in said.stderr
    assert "could not be set up (installing packages): no package index answers. Check the network" in said.stderr
    assert "Traceback" not in said.stderr
    assert not environment.is_set_up(tmp_path / "trainer")


def test_the_environment_of_a_trainer_that_runs_is_not_touched(tmp_path: Path) -> None:
    env = made(tmp_path, "of an older lock")
    with (env.parent / "trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = set_up(tmp_path, PIP_INDEX_URL=NOWHERE)
    assert (said.returncode, "stop it first" in said.stderr) == (1, True), said.stderr
    assert (env / environment.STAMP).exists()


def test_an_environment_that_is_whole_is_left_alone(tmp_path: Path) -> None:
    env = made(tmp_path, environment.fingerprint())
    said = set_up(tmp_path, PIP_INDEX_URL=NOWHERE)
    assert (said.returncode, said.stderr) == (0, f"The trainer's environment is ready: {env}\n")


@pytest.mark.parametrize(
    ("stamp", "backend", "is_ready"),
    [
        ("{}", None, True),
        ("{} cpu", None, True),
        ("{} cpu", "cpu", True),
        ("{} cpu", "cu130", False),
        ("{}", "cpu", False),
        ("of an older lock", None, False),
    ],
)
def test_it_is_whole_only_with_the_stamp_of_this_lock_and_backend(
    tmp_path: Path, stamp: str, backend: str | None, *, is_ready: bool
) -> None:
    made(tmp_path, stamp.format(environment.fingerprint()))
    assert environment.is_set_up(tmp_path / "trainer", backend) is is_ready


def test_one_whose_making_was_killed_has_no_stamp_and_is_not_whole(tmp_path: Path) -> None:
    (made(tmp_path, "") / environment.STAMP).unlink()
    assert not environment.is_set_up(tmp_path / "trainer")


def test_a_backend_without_uv_is_refused() -> None:
    with pytest.raises(Failure, match="--torch-backend needs uv"):
        torch_build.choose("cpu", None)


@pytest.mark.parametrize(("backend", "megabytes"), [("cpu", torch_build.CPU_MB), ("cu130", torch_build.CUDA_MB)])
def test_uv_is_told_which_build(backend: str, megabytes: int) -> None:
    build = torch_build.choose(backend, "/bin/uv")
    assert build.megabytes == megabytes
    command = build.install(PYTHON, "/bin/uv")
    assert command
    assert command[:4] == ["/bin/uv", "pip", "install", f"--torch-backend={backend}"]
    assert command[-1] == f"torch=={torch_build.TORCH}"


def test_pip_may_be_asked_for_by_name() -> None:
    command = torch_build.choose("pip", "/bin/uv").install(PYTHON, "/bin/uv")
    assert command == [str(PYTHON), "-m", "pip", "install", f"torch=={torch_build.TORCH}"]


def test_a_torch_of_the_machine_needs_no_command() -> None:
    assert torch_build.TorchBuild("", of_the_machine=True).install(PYTHON, "/bin/uv") is None
