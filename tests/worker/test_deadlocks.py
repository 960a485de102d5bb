"""A step that loses a deadlock, as beside a migration, says so in one line and is taken again."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import structlog
from sqlalchemy import make_url, text
from sqlmodel import Session
from structlog.testing import LogCapture

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.settings import get_settings
from shared.webhooks.models import DeliveryStatus, WebhookDelivery
from tests.api.keyed_requests import until_somebody_waits_for
from tests.servers import PATIENCE, Receiver
from tests.worker.support import change, endpoint_of, ids, running_job, write_event
from tests.world import Person, Sandbox, row, step
from worker.jobs import job_step
from worker.runtime import steps
from worker.runtime.steps import run
from worker.webhooks import deliver, usual

SAID = {"log_level": "warning", "event": "the step gave way to another transaction and is repeated"}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What steps and deliveries log, whichever logger an earlier test has left in its module."""
    captured = LogCapture()
    log = structlog.wrap_logger(None, processors=[captured], wrapper_class=structlog.make_filtering_bound_logger(0))
    for module in (steps, deliver):
        monkeypatch.setattr(module, "log", log)
    return captured.entries


def as_owner() -> psycopg.Connection[Any]:
    url = make_url(get_settings().migration_database_url or "").set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def lose_deadlock(execute: Callable[[str], Any]) -> None:
    """In the transaction of `execute`, which has read jobs: a migration has locked watches, and then wants jobs."""
    with as_owner() as migration:
        migration.execute("set deadlock_timeout = '1h'")  # the other one finds the deadlock, and loses
        migration.execute("begin")
        migration.execute("lock table watches")
        waiting = threading.Thread(target=migration.execute, args=["lock table jobs"])
        waiting.start()
        until_somebody_waits_for(f"pid = {migration.info.backend_pid}")
        try:
            execute("select from watches")
        finally:
            waiting.join(PATIENCE)
            migration.execute("rollback")


def losing(session: Session, *_: Any) -> None:
    lose_deadlock(lambda sql: session.connection().execute(text(sql)))


LOSING = {"plan": replace(job_step.advance, plan=losing), "record": replace(job_step.advance, record=losing)}


@pytest.mark.parametrize("part", LOSING)
def test_a_step_that_loses_a_deadlock_is_one_warning_and_is_taken_again(
    alice: Person, sandbox: Sandbox, said: list[Any], part: str
) -> None:
    job_id, _ = running_job(alice, sandbox)
    change(Job, job_id, due_at=utc_now())
    run(LOSING[part], job_id)
    assert said == [SAID | {"row": job_id}]
    job = row(Job, job_id)
    assert (job.failures, job.due_at > utc_now()) == (1, True)
    step(Job, job_id)
    assert row(Job, job_id).failures == 0


class LosingVisit(deliver.Visit):
    """The transaction of its claim loses a deadlock."""

    def take_slot(self, _: WebhookDelivery) -> None:
        with as_owner() as connection, connection.transaction():
            connection.execute("select from jobs")
            lose_deadlock(lambda sql: connection.execute(sql.encode()))


def test_a_delivery_whose_claim_loses_a_deadlock_is_left_to_a_step(
    alice: Person, receiver: Receiver, said: list[Any]
) -> None:
    endpoint_of(alice, receiver.url)
    write_event(alice)
    (delivery_id,) = ids(WebhookDelivery)
    with pytest.raises(usual.Unusual):
        deliver._deliver_usual(LosingVisit(), alice.project_id, None)
    (line,) = said
    assert (line["log_level"], line["project_id"], "exc_info" in line) == ("warning", alice.project_id, False)
    step(WebhookDelivery, delivery_id)
    assert row(WebhookDelivery, delivery_id).status is DeliveryStatus.SUCCEEDED
