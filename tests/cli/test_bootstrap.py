"""`./tunery` on a bare machine: what it says when it cannot begin, and that it costs nothing when all is there."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.dev import bootstrap
from cli.local import commands

NOWHERE = "http://127.0.0.1:1/simple"


def clone(folder: Path) -> Path:
    """As much of a fresh clone as is needed to set it up."""
    for name in ("tunery", "requirements-dev.lock"):
        shutil.copy(commands.ROOT / name, folder)
    shutil.copytree(commands.ROOT / "cli", folder / "cli", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def start(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), **environ}
    command = [f"{sys.base_prefix}/bin/python3", str(folder / "tunery"), *arguments]
    return subprocess.run(command, env=bare, cwd="/", capture_output=True, text=True, check=False)


def test_the_first_file_can_be_read_by_every_python_3() -> None:
    ast.parse((commands.ROOT / "tunery").read_text(), feature_version=(3, 4))


def test_an_older_python_is_told_which_one_to_use(tmp_path: Path) -> None:
    older = "import runpy, sys; sys.version_info = (3, 10, 2); sys.argv = ['tunery', 'demo']; runpy.run_path('tunery')"
    said = subprocess.run([sys.executable, "-c", older], cwd=commands.ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.startswith("Tunery needs Python 3.11 or newer")
    assert said.stderr.rstrip().endswith("python3.12 tunery demo")


def test_without_a_network_a_sentence_says_so(tmp_path: Path) -> None:
    nowhere = {"UV_DEFAULT_INDEX": NOWHERE, "PIP_INDEX_URL": NOWHERE, "PIP_CONFIG_FILE": os.devnull}
    said = start(clone(tmp_path), "demo", **nowhere, UV_NO_CONFIG="1", UV_HTTP_RETRIES="0")
    assert said.returncode == 1
    assert "no package index answers. Check the network" in said.stderr
    assert "Traceback" not in said.stderr
    assert (tmp_path / ".state" / "logs" / "setup.log").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_clone_that_may_not_be_written_to_is_told_of(tmp_path: Path) -> None:
    clone(tmp_path).chmod(0o500)
    said = start(tmp_path, "demo")
    tmp_path.chmod(0o700)
    assert "which you may not write to" in said.stderr


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("error: failed to write: No space left on device (os error 28)", "The disk is full"),
        ("error: Failed to fetch\n  cause: error sending request for url", "no package index answers"),
        (
            "  cause: error sending request\n  cause: invalid peer certificate: UnknownIssuer",
            "a certificate that is not",
        ),
        ("/usr/bin/python3: No module named pip", "has neither pip nor venv"),
        ("ERROR: No matching distribution found for uvloop", "No matching distribution found for uvloop"),
    ],
)
def test_what_the_installers_say_becomes_a_sentence(tmp_path: Path, log: str, sentence: str) -> None:
    file = tmp_path / "setup.log"
    file.write_text(log)
    assert sentence in bootstrap.explain_log(file)


def test_it_hands_over_from_any_folder_and_sets_nothing_up_twice() -> None:
    """This test runs inside of an environment that is set up, or it would not run."""
    stamp_is_ours = bootstrap.is_set_up()
    said = start(commands.ROOT, "--help", TUNERY_STATE=os.environ.get("TUNERY_STATE", ""))
    assert said.returncode == 0
    assert "tunery [OPTIONS] COMMAND" in said.stdout
    assert not (stamp_is_ours and said.stderr)
