"""The locks: pinned by hash, free of any host so that any mirror serves them, and what pyproject.toml asks for."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands

LOCKS = {
    "requirements.lock": ["pyproject.toml"],
    "requirements-dev.lock": ["pyproject.toml", "--group", "dev", "-c", "requirements.lock"],
    "requirements-postgres.lock": ["--group", "postgres", "-c", "requirements-dev.lock"],
    "requirements-trainer.lock": ["--group", "trainer"],
    "requirements-ray.lock": ["--group", "ray"],
    "requirements-sdks.lock": ["--group", "sdks"],
}
COMPILE = ["pip", "compile", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet"]


class NoIndex(Failure):
    """No package index answers, so nothing can be said about a lock."""


def write(state: Path) -> None:
    """Compiles each anew. What they pin stays, unless pyproject.toml no longer allows it."""
    for lock in LOCKS:
        _compile(state, lock, commands.ROOT / lock)


def complaint(state: Path) -> str | None:
    """What is wrong with them, if anything."""
    with tempfile.TemporaryDirectory() as folder:
        for lock in LOCKS:
            present, compiled = commands.ROOT / lock, Path(folder) / lock
            if "://" in present.read_text():
                return f"{lock} names a host: write it anew with `./tunery lock`."
            shutil.copy(present, compiled)
            _compile(state, lock, compiled)
            if compiled.read_text() != present.read_text():
                return f"{lock} is not what pyproject.toml asks for: write it anew with `./tunery lock`."
    return None


def _compile(state: Path, lock: str, into: Path) -> None:
    uv = bootstrap.find_uv(state) or bootstrap.fetch_uv(state, Path(os.devnull))
    if uv is None:
        raise Failure("Locks are compiled with uv, and it could not be installed here.")
    done = subprocess.run(
        [uv, *COMPILE, *LOCKS[lock], "-o", str(into)],
        cwd=commands.ROOT,
        env=commands.environment(UV_PYTHON_DOWNLOADS="never", **bootstrap.TRUST_OF_THE_SYSTEM),
        capture_output=True,
        text=True,
        check=False,
    )
    if any(sign in done.stderr for sign in bootstrap.NO_NETWORK):
        raise NoIndex("No package index answers.")
    if done.returncode != 0:
        raise Failure(f"{lock} could not be compiled: {done.stderr.strip()}")
