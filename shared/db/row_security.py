"""The second wall between projects: Postgres itself shows a transaction the rows of one project, whatever is asked.

A session of a project works as the role `tunery_app`, which owns nothing, with its project in `tunery.project`. Both
end with the transaction, so that a connection goes back to the pool as it came. The policies are in `alembic/versions`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

_PROJECT = "project_id"  # in the `info` of a session
_NARROW = text("select set_config('role', 'tunery_app', true), set_config('tunery.project', :project, true)")
_WIDEN = text("select set_config('role', 'none', true), set_config('tunery.project', '', true)")


def narrow_from_the_start(session: Session, project_id: str) -> None:
    """Nothing is asked of Postgres yet: a session that is not used needs no connection."""
    session.info[_PROJECT] = project_id


@event.listens_for(Session, "after_begin")
def _narrow(session: Session, _: object, connection: Connection) -> None:
    if (project_id := session.info.get(_PROJECT)) is not None:
        connection.execute(_NARROW, {"project": project_id})


def narrow(session: Session, project_id: str) -> None:
    """From here to the end of its transaction only this project's rows are there."""
    session.flush()
    connection = session.connection()
    session.info[_PROJECT] = project_id
    connection.execute(_NARROW, {"project": project_id})


@contextmanager
def across_projects(session: Session) -> Iterator[None]:
    """For a question about all projects, in the middle of a transaction of one of them."""
    project_id = session.info.get(_PROJECT)
    if project_id is None:
        yield
        return
    session.flush()
    session.connection().execute(_WIDEN)
    try:
        yield
    except DBAPIError:  # Postgres takes nothing more in this transaction
        raise
    except BaseException:
        narrow(session, project_id)
        raise
    narrow(session, project_id)
