"""Searches the provider for a job whose create was sent, and of which nobody knows whether it arrived."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs.models import Job, NextAction
from shared.jobs.transitions import set_next_action
from shared.settings import get_settings
from worker.jobs.actions.action import Action
from worker.jobs.actions.failures import abandon, is_answer, is_unanswered_too_long, note_error, wait
from worker.jobs.actions.prepare import record_created
from worker.jobs.fetch import find
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider, ProviderJob
from worker.runtime.errors import NotNow, StepError


@dataclass(frozen=True)
class Find:
    """Search the jobs that were created since this time."""

    since: datetime


def _plan(_: Session, job: Job) -> Find:
    """Raises `NotNow` before the grace is over: the provider's list may be late. That forgives no failure."""
    assert job.create_pending_at is not None
    wait_until = job.create_pending_at + get_settings().create_grace
    if wait_until > utc_now():
        raise NotNow(wait_until)
    return Find(job.create_pending_at)


def _call(provider: Provider, job: Job, work: Find) -> list[ProviderJob]:
    return find(provider, job, work.since)


def _record(session: Session, job: Job, _: Find, answer: list[ProviderJob] | StepError) -> None:
    if isinstance(answer, StepError):
        note_error(job, is_answer=is_answer(answer))
        if isinstance(answer, ProviderError) and is_unanswered_too_long(job):
            abandon(session, job, answer)
        else:
            wait(session, job, answer)
    elif answer:
        record_created(session, job, answer[0])
    else:
        _record_not_found(job)


def _record_not_found(job: Job) -> None:
    job.unanswered_since, job.retries = None, 0
    failures, job.create_pending_at = job.failures - 1, None
    set_next_action(job, NextAction.PREPARE)
    release(job, utc_now())
    job.failures = failures  # a search says nothing about creates that killed their worker: those stay counted


FIND = Action(_plan, _call, _record)
