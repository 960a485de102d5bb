"""Brings the schema of a deployment up to date."""

import time

from sqlalchemy.exc import OperationalError

from shared.database import get_engine
from shared.key_rotation.startup_check import check_keys
from shared.migrations import migrate, newest_revision


def migrate_when_reachable(patience: float) -> str:
    """Migrates, and returns a sentence with the revision. Tries for `patience` seconds to reach the database."""
    deadline = time.monotonic() + patience
    while True:
        try:
            get_engine().connect().close()
            break
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    migrate()
    check_keys()
    return f"The database is at revision {newest_revision()}."
