"""Which revisions of the schema there are, and at which one the database is.

Read without Alembic, which the api would else keep in memory for one comparison.
"""

import re
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text

_FOLDER = Path(__file__).parents[2] / "alembic" / "versions"
_LINE = re.compile(r'^(revision|down_revision) = "(\w+)"$', re.MULTILINE)


@cache
def _lines() -> frozenset[tuple[str, str]]:
    return frozenset(line for file in _FOLDER.glob("*.py") for line in _LINE.findall(file.read_text(encoding="utf-8")))


def known_revisions() -> frozenset[str]:
    return frozenset(revision for name, revision in _lines() if name == "revision")


def newest_revision() -> str:
    """The one that no other follows; a test holds that it is the only one."""
    [newest] = known_revisions() - {revision for name, revision in _lines() if name == "down_revision"}
    return newest


def current_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None if it was never migrated."""
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("select version_num from alembic_version"))
    return revision
