"""Brings the schema of a deployment up to date."""

import time

from sqlalchemy.exc import OperationalError

from cli.columns import say
from cli.explain import sentence_for
from shared.database import owner_engine
from shared.db.revisions import newest_revision
from shared.key_rotation.startup_check import check_keys
from shared.migrations import migrate


def migrate_when_reachable(patience: float) -> str:
    """Migrates, and returns a sentence with the revision. Tries for `patience` seconds to reach the database."""
    deadline, has_said_so = time.monotonic() + patience, False
    while True:
        try:
            owner_engine().connect().close()
            break
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise
            if not has_said_so:
                say(f"{sentence_for(error)}\nIt is tried again for up to {patience:.0f} s …")
            has_said_so = True
            time.sleep(0.05)
    migrate()
    check_keys()
    return f"The database is at revision {newest_revision()}."
