"""The official SDKs of providers, in an environment of their own: what they need does not fit beside what we need.

A program that uses one runs there: `run(program, *arguments)`. The first test that asks makes `.state/sdks`, from
`requirements-sdks.lock`; where no package can be had its tests skip.
"""

import json
import os
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands

LOCK = commands.ROOT / "requirements-sdks.lock"
FOLDER = commands.ROOT / ".state" / "sdks"
PATIENCE = 100  # seconds for a program


def run(program: Path, *arguments: str) -> Any:
    """What the program prints, as JSON. It fails the test with what it says if it fails."""
    done = subprocess.run(
        [str(_python()), str(program), *arguments],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@cache
def _python() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    python, stamp = FOLDER / "bin" / "python", FOLDER / "tunery-lock"
    wanted = sha256(LOCK.read_bytes()).hexdigest()
    with bootstrap.only_one(FOLDER.parent):
        if not stamp.exists() or stamp.read_text() != wanted:
            _make(python)
            stamp.write_text(wanted)
    return python


def _make(python: Path) -> None:
    uv = bootstrap.find_uv(FOLDER.parent)
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(LOCK)]
    if uv is not None:
        steps = [
            [uv, "venv", "--allow-existing", "--python", sys.executable, str(FOLDER)],
            [uv, "pip", "install", "--no-config", "--python", str(python), *options],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(FOLDER)],
            [str(python), "-m", "pip", "install", *options],
        ]
    environ = commands.environment(**bootstrap.FOR_INSTALLERS, **bootstrap.TRUST_OF_THE_SYSTEM)
    for command in steps:
        try:
            done = subprocess.run(command, env=environ, capture_output=True, text=True)
        except (OSError, Failure) as error:
            pytest.skip(f"the SDKs of providers cannot be installed: {error}")
        if done.returncode != 0:
            pytest.skip(f"the SDKs of providers cannot be installed: {done.stderr[-500:]}")
