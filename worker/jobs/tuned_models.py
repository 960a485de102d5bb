"""Deletes a tuned model at the provider after it has been deleted here."""

from dataclasses import dataclass

from sqlmodel import Session

from shared.db.claims import release
from shared.jobs.models import TunedModel
from shared.projects.models import Credential
from worker.jobs.backpressure import open_credential, try_again
from worker.providers.errors import ProviderError
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, log


@dataclass(frozen=True)
class Plan:
    name: str
    credential: Credential


def _plan(session: Session, model: TunedModel) -> Plan | None:
    if model.deleted_at is None:
        release(model, None)
        return None
    return Plan(model.name, open_credential(session, model.credential_id))


def _call(plan: Plan) -> None:
    get_provider(plan.credential).delete_model(plan.name)


def _record(session: Session, model: TunedModel, plan: Plan, answer: StepError | None) -> None:
    if answer is not None and answer.retryable:
        try_again(session, model, model.credential_id, answer)
        return
    is_gone = isinstance(answer, ProviderError) and answer.status == 404
    if answer is not None and not is_gone:
        log.error("the provider does not delete the model", model=plan.name, code=answer.code, reason=answer.message)
    release(model, None)


def _give_up(_: Session, model: TunedModel) -> None:
    release(model, None)


delete = Step(TunedModel, _plan, _call, _record, _give_up)
