"""Runs `pg_dump` and `pg_restore` on the database of the settings, as the login that owns its tables."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from sqlalchemy import make_url

from cli.backup.folder import DUMP
from cli.embedded.binaries import find_pg_program
from cli.failure import Failure
from shared.settings import get_settings

READ_BYTES = 1 << 20


def dump(snapshot: str, write: Callable[[bytes], None]) -> None:
    """Write the database as this snapshot shows it, in Postgres's own format. Raises `Failure`."""

    def take(output: IO[bytes]) -> None:
        while chunk := output.read(READ_BYTES):
            write(chunk)

    _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", take=take)


def load(folder: Path) -> None:
    """All or nothing, and without owners: everything belongs to the login that restores. Raises `Failure`."""
    _run("pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", str(folder / DUMP))


def _run(program: str, *options: str, take: Callable[[IO[bytes]], None] | None = None) -> None:
    """The password is in the environment, since everybody on the machine may read command lines."""
    url = make_url(get_settings().migration_database_url or get_settings().database_url)
    address = url._replace(drivername="postgresql", password=None).render_as_string()
    command = [str(find_pg_program(program)), "--no-password", f"--dbname={address}", *options]
    environ = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    with TemporaryFile() as said:
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as process:
            if take is not None and process.stdout is not None:
                take(process.stdout)
        if process.returncode != 0:
            said.seek(0)
            why = said.read().decode(errors="replace").strip()
            raise Failure(f"{program} failed with code {process.returncode}: {why}")
