"""Runs one step of a job. Its `next_action` says what the step does; the answer decides what the next one does."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from shared.jobs import service as jobs
from shared.jobs.models import Job, NextAction
from shared.projects.models import Credential
from worker.jobs import give_up
from worker.jobs.actions.action import Action
from worker.jobs.actions.find import FIND
from worker.jobs.actions.poll import POLL
from worker.jobs.actions.prepare import PREPARE
from worker.jobs.actions.request import REQUEST
from worker.jobs.backpressure import open_credential
from worker.jobs.overlap import Compare, compares_large_files
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import Step

ACTIONS: dict[NextAction, Action[Any, Any]] = {
    NextAction.PREPARE: PREPARE,
    NextAction.FIND: FIND,
    NextAction.REQUEST: REQUEST,
    NextAction.POLL: POLL,
}


@dataclass(frozen=True)
class Plan:
    """`job` as it was claimed, and the `work` that its action has planned."""

    job: Job
    credential: Credential
    action: Action[Any, Any]
    work: Any
    is_heavy: bool = False


def _plan(session: Session, job: Job) -> Plan | None:
    if job.status.is_final and (job.request is None or not jobs.may_exist_at_provider(job)):
        give_up.let_be(session, job)
        return None
    assert job.next_action is not None
    action = ACTIONS[job.next_action]
    work = action.plan(session, job)
    if work is None:
        return None
    if isinstance(work, Compare):  # calls no provider, so it need not wait while calls to it back off
        is_heavy = compares_large_files(session, work)
        return Plan(job, session.get_one(Credential, job.credential_id), action, work, is_heavy)
    return Plan(job, open_credential(session, job.credential_id), action, work)


def _call(plan: Plan) -> Any:
    return plan.action.call(get_provider(plan.credential), plan.job, plan.work)


def _record(session: Session, job: Job, plan: Plan, answer: Any | StepError) -> None:
    plan.action.record(session, job, plan.work, answer)


advance = Step(Job, _plan, _call, _record, give_up.give_up, lambda plan: plan.is_heavy)
