"""Restores a backup into an empty installation: everything is checked first, the database comes last and as a whole."""

from pathlib import Path

from sqlalchemy import text

from cli.backup import folder as backups
from cli.backup import postgres
from cli.backup.folder import Manifest
from cli.failure import Failure
from shared.database import owner_engine
from shared.datasets.storage import store
from shared.db import server_role
from shared.db.revisions import known_revisions
from shared.migrations import migrate
from shared.security.secrets import key_ids

_TABLE = text(
    "select min(relname) from pg_class where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace"
)


def check(folder: Path, without_keys: list[str]) -> Manifest:
    """Raises `Failure` for a backup that is not whole, is damaged, is of a newer version, or needs another key."""
    manifest = backups.read_manifest(folder)
    if manifest.revision not in known_revisions():
        raise Failure(
            f"{folder} has the schema {manifest.revision} of Tunery {manifest.version}, which this version does not "
            "know: restore it with that version or a newer one."
        )
    if lost := sorted({*manifest.keys} - {*key_ids()} - {*without_keys}):
        raise Failure(
            f"TUNERY_SECRET_KEYS lacks the key {', '.join(lost)}, with which secrets of this backup are sealed: add it "
            f"behind the first key. If it is lost for good, restore with --without-key {lost[0]}."
        )
    backups.check(folder, manifest)
    return manifest


def restore(folder: Path, manifest: Manifest) -> None:
    """Raises `Failure` if something is there already. Killed before its end, it has left a database without tables."""
    if (key := store.first_key()) is not None:
        raise Failure(f"TUNERY_STORAGE is not empty: it has {key}. Restore into an empty folder or bucket.")
    _prepare_database(manifest)
    for file in backups.listed(folder):
        stored = store.store(file.id, store.chunks((folder / backups.FILES / file.id).open("rb")))
        if stored.sha256 != file.sha256:
            raise Failure(f"{file.id} has changed in {folder} since it was checked. The database was not restored.")
    postgres.load(folder)
    migrate()


def _prepare_database(manifest: Manifest) -> None:
    with owner_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        if (table := owner.scalar(_TABLE)) is not None:
            raise Failure(f"The database is not empty: it has the table {table}. Restore into an empty one.")
        if (login := owner.scalar(text("select current_user"))) != manifest.owner:
            raise Failure(
                f"The tables of this backup belong to {manifest.owner}, and {login} would restore them: name "
                f"{manifest.owner} in TUNERY_MIGRATION_DATABASE_URL (docs/deploying.md, Roles)."
            )
        try:
            server_role.make_roles(owner)
        except server_role.NotAllowed as refused:
            raise Failure(f"{login} may not make the roles: let an administrator run {refused.statements}.") from None
