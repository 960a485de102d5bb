"""Asks a provider for its base models and job slots: every ten minutes, and when a credential is tested.

Deployments that no row counts as its own are stopped then, too.

Whether the provider accepts the key is recorded as the result of the test.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session

from shared.datasets.validation.rules.limits import rules
from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs.elsewhere import retirement
from shared.jobs.queue import slots
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.deployments.strays import stop_strays
from worker.jobs.backpressure import check_open, try_again
from worker.providers.errors import ProviderError
from worker.providers.protocol import BaseModel
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, after

REFRESH_EVERY = timedelta(minutes=10)


@dataclass(frozen=True)
class Answer:
    """`job_slots` is None if the provider could not answer that for now."""

    models: list[BaseModel]
    job_slots: dict[str, int] | None


def _plan(_: Session, credential: Credential) -> Credential | None:
    if credential.deleted_at is not None:
        release(credential, None)
        return None
    check_open(credential)
    return credential


def _call(credential: Credential) -> Answer:
    stop_strays(credential)  # first, since they cost money whether or not the models can be listed
    provider = get_provider(credential)
    models = provider.list_base_models()
    try:
        return Answer(models, provider.job_slots())
    except ProviderError as error:
        return Answer(models, None if error.retryable else {})


def _record(session: Session, credential: Credential, asked: Credential, answer: Answer | StepError) -> None:
    if credential.deleted_at is not None or credential.key_version != asked.key_version:
        release(credential, utc_now())  # the answer is about a key that has been replaced
        return
    credential.tested_at, credential.tested_version = utc_now(), asked.key_version
    if isinstance(answer, StepError):
        credential.test_error = {"code": answer.code, "message": answer.message}
        try_again(session, credential, credential.id, answer)
        return
    credential.test_error = None
    named = get_settings().provider.base_models if credential.project_id is None else ()
    credential.base_models = [_stored(model) for model in chosen(answer.models, named)]
    if answer.job_slots is not None:
        credential.job_slots = _by_base(answer.job_slots)
    credential.retries = 0
    retirement.tell(session, credential)
    release(credential, after(REFRESH_EVERY))


def chosen(models: list[BaseModel], named: Collection[str]) -> list[BaseModel]:
    """The models that the operator has named, by alias or snapshot; if none are named, those that the provider is
    known to tune."""
    wanted = {name for each in named for name in rules().names(each)}
    return [model for model in models if (model.id in wanted if named else model.is_tunable)]


def _stored(model: BaseModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "created": model.created,
        "owned_by": model.owned_by,
        "shutdown_date": model.shutdown_date,
    }


def _by_base(job_slots: dict[str, int]) -> dict[str, int]:
    """Slots by base model. Several names of one base share its slots, so the smallest number counts."""
    least: dict[str, int] = {}
    for name, count in job_slots.items():
        base = slots.base_of(name)
        least[base] = min(count, least.get(base, count))
    return least


def _give_up(_: Session, credential: Credential) -> None:
    release(credential, after(REFRESH_EVERY))


refresh = Step(Credential, _plan, _call, _record, _give_up)
