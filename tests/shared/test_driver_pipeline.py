"""Statements over a bare connection of the pool, sent at once: it goes back as sessions need it, whatever happened."""

from contextlib import ExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from shared.database import driver_connection, driver_pipeline, get_engine
from shared.db.connections import KEPT_OPEN
from tests.world import Person

WHO = "select current_user, current_setting('tunery.project', true)"


def test_a_connection_goes_back_unlimited(alice: Person) -> None:
    with driver_pipeline(alice.project_id) as connection:
        limited = connection.execute(WHO)
    assert limited.fetchone() == ("tunery_app", alice.project_id)
    with get_engine().connect() as pooled:
        role, project = pooled.execute(text(WHO)).one()
    assert (role == "tunery_app", project or None) == (False, None)


def test_a_connection_goes_back_as_sessions_need_it(alice: Person) -> None:
    """One that still committed each statement by itself would leave half of a later transaction."""
    for _ in range(50):  # more than the pool has
        with pytest.raises(DataError), driver_pipeline(alice.project_id) as connection:
            connection.execute("select 1 / 0")
    with driver_pipeline(alice.project_id) as connection:
        connection.execute("select 1")
    with ExitStack() as held:
        pooled = [held.enter_context(driver_connection()) for _ in range(KEPT_OPEN)]
        assert not any(each.autocommit for each in pooled)
