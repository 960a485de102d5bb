"""Compares the models with a database that has all migrations: reports the difference, or writes a migration of it."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.embedded import temporary
from cli.failure import Failure
from cli.local import commands


@contextmanager
def _migrated() -> Iterator[dict[str, str]]:
    """The environment of a Postgres of its own, in which all migrations have run."""
    with temporary.postgres() as database_url, tempfile.TemporaryDirectory() as storage:
        environ = commands.environment(
            DATABASE_URL=database_url,
            REDIS_URL="redis://127.0.0.1:1",
            TUNERY_SECRET_KEYS=f'["{secrets.token_urlsafe(32)}="]',
            TUNERY_PROVIDER__BASE_URL="http://127.0.0.1:1/v1",
            TUNERY_PROVIDER__API_KEY="unused",
            TUNERY_STORAGE=storage,
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),  # Alembic runs ruff
        )
        _run(environ, "cli", "migrate")
        yield environ


def _run(environ: dict[str, str], *module: str) -> str:
    """What it printed. Raises `Failure` with that if it fails."""
    done = subprocess.run(
        [commands.PYTHON, "-m", *module],
        cwd=commands.ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failure(done.stdout.strip() or f"{' '.join(module)} ended with exit code {done.returncode}.")
    return done.stdout


def check() -> None:
    """Raises `Failure` if a migration is missing or fails."""
    with _migrated() as environ:
        _run(environ, "alembic", "check")


def write(message: str) -> str:
    """Writes what the models have and the migrations lack into `alembic/versions`. Returns what Alembic printed."""
    with _migrated() as environ:
        return _run(environ, "alembic", "revision", "--autogenerate", "--message", message)
