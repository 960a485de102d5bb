"""Writes a backup: files first, then a snapshot of the database, then the files that only the snapshot has.

A file never changes, but may be deleted: one that a row of the snapshot names was copied before, or is copied seconds
after it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, text
from sqlmodel import Session

from cli.backup import postgres
from cli.backup.folder import DUMP, FILES, FORMAT, LIST, File, Manifest, write_manifest, writing
from cli.embedded.binaries import find_pg_program
from cli.failure import Failure
from shared.database import owner_engine
from shared.datasets.storage import store
from shared.db.revisions import current_revision
from shared.db.times import utc_now
from shared.key_rotation.startup_check import keys_in_use
from shared.version import VERSION

BATCH_ROWS = 1000
# The parts of an upload that has ended are of no use, or belong to its file.
_NAMED = text(
    "select id, bytes, sha256 from (select id, bytes, sha256 from datasets where deleted_at is null and sha256 <> ''"
    " union all select part.id, part.bytes, part.sha256 from upload_parts part"
    " join uploads on uploads.id = part.upload_id where uploads.status = 'pending') named"
    " where id > :after order by id limit :limit"
)


@dataclass
class Copies:
    """The files that are in the backup: `hashes` of those that are not what their row says, and those not found."""

    folder: Path
    hashes: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def copy(self, file: File) -> None:
        """Does nothing if the file is here."""
        if (self.folder / file.id).exists():
            return
        try:
            source = store.open_dataset(file.id)
        except FileNotFoundError:
            return
        with writing(self.folder, file.id) as copy:
            for chunk in store.chunks(source):
                copy.write(chunk)
            if (found := copy.finish()) != file.sha256:
                self.hashes[file.id] = found

    def as_copied(self, file: File) -> File | None:
        """The file with its hash in the backup; None if the storage does not have it."""
        path = self.folder / file.id
        if not path.exists():
            self.missing.append(file.id)
            return None
        return File(file.id, path.stat().st_size, self.hashes.get(file.id, file.sha256))

    def complaints(self) -> list[str]:
        lost = [f"{id} is not in the storage, though its row says so." for id in self.missing]
        return lost + [
            f"{id} is damaged in the storage: its bytes are not those that its row describes." for id in self.hashes
        ]


def back_up(folder: Path) -> tuple[Manifest, Copies]:
    """Raises `Failure`, also for a folder that has something in it."""
    find_pg_program("pg_dump")  # before hours of copying
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Failure(f"{folder} is not empty: name a new folder for each backup.")
    copies = Copies(folder / FILES)
    # No transaction stays open while most is copied: for hours Postgres could remove no old row.
    with owner_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        if current_revision(owner) is None:
            raise Failure("The database has no tables of Tunery: there is nothing to back up.")
        for file in _named(owner):
            copies.copy(file)
    with owner_engine().connect().execution_options(isolation_level="REPEATABLE READ") as owner:
        manifest = _copy_snapshot(owner, folder, copies)
    write_manifest(folder, manifest)
    return manifest, copies


def _named(owner: Connection) -> Iterator[File]:
    after = ""
    while rows := owner.execute(_NAMED, {"after": after, "limit": BATCH_ROWS}).all():
        yield from (File(*row) for row in rows)
        after = rows[-1].id


def _copy_snapshot(owner: Connection, folder: Path, copies: Copies) -> Manifest:
    snapshot = str(owner.scalar(text("select pg_export_snapshot()")))
    with writing(folder, LIST) as names, writing(folder, DUMP) as dump:
        count, total = 0, 0
        for file in _named(owner):
            copies.copy(file)
            if (copied := copies.as_copied(file)) is not None:
                names.write(json.dumps(copied._asdict()).encode() + b"\n")
                count, total = count + 1, total + copied.bytes
        postgres.dump(snapshot, dump.write)
        return Manifest(
            format=FORMAT,
            version=VERSION,
            made_at=utc_now().isoformat(timespec="seconds"),
            revision=str(current_revision(owner)),
            owner=str(owner.scalar(text("select current_user"))),
            keys=sorted(keys_in_use(Session(owner))),
            files=count,
            file_bytes=total,
            dump_sha256=dump.finish(),
            list_sha256=names.finish(),
        )
