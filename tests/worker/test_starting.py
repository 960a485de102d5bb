"""What a worker does once: before it has its children, and when it breaks their steps off at its stop."""

import gc
import os
import signal
from datetime import timedelta
from types import SimpleNamespace

import pytest
from celery.worker import state
from sqlmodel import col

from shared.database import transaction
from shared.db.claims import claim
from shared.db.times import utc_now
from shared.jobs.models import Job
from tests.worker.support import change, ready_job
from tests.world import Person, row


def test_a_worker_that_has_started_looks_for_garbage_again(clean: str) -> None:
    from worker import process  # which reads the settings that `clean` has made

    gc.disable()
    try:
        process._prepare_for_children()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_step_that_is_broken_off_keeps_its_lease_and_has_not_failed(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker import process

    broken_off, killed = (ready_job(alice) for _ in range(2))
    for job_id in (broken_off, killed):
        change(Job, job_id, due_at=utc_now())
        with transaction() as session:
            assert claim(session, Job, col(Job.id) == job_id, timedelta(minutes=10)) is not None
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(state, "active_requests", [SimpleNamespace(args=[broken_off])])
    process._break_off()
    assert sent == [signal.SIGQUIT]
    assert [row(Job, each).failures for each in (broken_off, killed)] == [0, 1]
    assert row(Job, broken_off).due_at > utc_now()
