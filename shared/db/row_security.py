"""Limits a session to the rows of one project by Postgres's row-level security, even if a query names no project.

Such a session has the role `tunery_app`, which owns no table, and the project's id in the variable `tunery.project`.
Both are set for the transaction only, so a connection returns to its pool unchanged. Migrations define the policies.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

_PROJECT = "project_id"  # key of `session.info`
LIMIT = text("select set_config('role', 'tunery_app', true), set_config('tunery.project', :project, true)")
_UNLIMIT = text("select set_config('role', 'none', true), set_config('tunery.project', '', true)")


def limit_from_the_start(session: Session, project_id: str) -> None:
    """Limit a new session as soon as it gets a connection; a session that runs no query never takes one."""
    session.info[_PROJECT] = project_id


@event.listens_for(Session, "after_begin")
def _limit(session: Session, _: object, connection: Connection) -> None:
    if (project_id := session.info.get(_PROJECT)) is not None:
        connection.execute(LIMIT, {"project": project_id})


def limit_to_project(session: Session, project_id: str) -> None:
    """Limit the session to the project from now until its transaction ends."""
    session.flush()
    connection = session.connection()
    session.info[_PROJECT] = project_id
    connection.execute(LIMIT, {"project": project_id})


@contextmanager
def across_projects(session: Session) -> Iterator[None]:
    """Lift the limit within the block, for a query about all projects in a transaction of one of them."""
    project_id = session.info.get(_PROJECT)
    if project_id is None:
        yield
        return
    session.flush()
    session.connection().execute(_UNLIMIT)
    try:
        yield
    except DBAPIError:  # the transaction is aborted: Postgres refuses every further statement
        raise
    except BaseException:
        limit_to_project(session, project_id)
        raise
    limit_to_project(session, project_id)
