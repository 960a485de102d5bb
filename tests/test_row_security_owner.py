"""`tunery migrate` with a database owner that has no privileges."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlmodel import Session, select

from shared.db.row_security import limit_to_project
from shared.projects import service as projects
from shared.projects.models import Project
from shared.settings import get_settings
from tests.world import as_owner, variables_of_this_test


@pytest.fixture
def plain_owner(server: str) -> Iterator[str]:
    """Yield the URL of an empty database whose owner has no other privileges, as with a managed Postgres."""
    url = make_url(get_settings().migration_database_url or "")
    user = f"plain_{os.getpid()}"
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as admin:
        admin.execute(text(f"create role {user} login password 'plain'"))
        admin.execute(text(f"create database {user} owner {user}"))
        yield url.set(username=user, password="plain", database=user).render_as_string(hide_password=False)
        admin.execute(text(f"drop database {user} with (force)"))
        admin.execute(text(f"drop role {user}"))


def test_migrate_tells_an_owner_without_privileges_which_grant_it_needs(plain_owner: str) -> None:
    said = migrate(plain_owner)
    assert "GRANT tunery_app TO plain_" in said
    assert "Traceback" not in said
    url = make_url(plain_owner)
    with as_owner() as session:
        session.execute(text(f"grant tunery_app to {url.username}"))
    assert "The database is at revision" in migrate(plain_owner)
    with create_engine(url, poolclass=NullPool).begin() as owner, Session(owner) as session:
        alices, bobs = (projects.create_project(session, name).id for name in ("alice's", "bob's"))
        session.flush()
        assert len(session.exec(select(Project)).all()) == 2
        limit_to_project(session, bobs)
        assert [project.id for project in session.exec(select(Project))] == [bobs]
        assert session.get(Project, alices, populate_existing=True) is None


def migrate(database_url: str, owner: str = "") -> str:
    urls = {"DATABASE_URL": database_url, "TUNERY_MIGRATION_DATABASE_URL": owner}
    environ = {**os.environ, **variables_of_this_test(), **urls}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "migrate"],
        env=environ,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr
