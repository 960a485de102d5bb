"""Ask a provider, now and then, which base models it has, and how many jobs it takes at once."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from openai.types import Model
from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import slots, tuned_models
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.jobs.backpressure import check_open, try_again
from worker.providers.errors import ProviderError
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, after

REFRESH_EVERY = timedelta(minutes=10)

# What OpenAI has ever let its customers tune; its list of models does not say it.
_TUNABLE = ("babbage-002", "davinci-002", "gpt-3.5-turbo", "gpt-4-0613", "gpt-4.1", "gpt-4o", "o4-mini")
_OTHER_USES = ("audio", "realtime", "search", "transcribe", "tts", "instruct", "deep-research", "image")


@dataclass(frozen=True)
class Account:
    """`job_slots` is None where the provider did not say."""

    models: list[Model]
    job_slots: dict[str, int] | None


def _plan(_: Session, credential: Credential) -> Credential | None:
    if credential.deleted_at is not None:
        release(credential, None)
        return None
    check_open(credential)
    return credential


def _call(credential: Credential) -> Account:
    provider = get_provider(credential)
    models = provider.list_models()
    try:
        return Account(models, provider.job_slots())
    except ProviderError as error:
        return Account(models, None if error.retryable else {})


def _record(session: Session, credential: Credential, asked: Credential, answer: Account | StepError) -> None:
    if credential.deleted_at is not None or credential.key_version != asked.key_version:
        release(credential, utc_now())  # it is another account by now
        return
    credential.tested_at, credential.tested_version = utc_now(), asked.key_version
    if isinstance(answer, StepError):
        credential.test_error = {"code": answer.code, "message": answer.message}
        try_again(session, credential, credential.id, answer)
        return
    credential.test_error = None
    named = get_settings().provider.base_models if credential.project_id is None else ()
    credential.base_models = [_base(model) for model in tunable(answer.models, named)]
    if answer.job_slots is not None:
        credential.job_slots = _by_base(answer.job_slots)
    credential.retries = 0
    tuned_models.tell_shutdowns(session, credential)
    release(credential, after(REFRESH_EVERY))


def tunable(models: list[Model], named: Collection[str] = ()) -> list[Model]:
    """The models that the operator names; else those known to be tunable; else, at a provider of others, all."""
    bases = [model for model in models if not model.id.startswith("ft:")]
    if named:
        return [model for model in bases if model.id in named]
    known = [
        model for model in bases if model.id.startswith(_TUNABLE) and not any(use in model.id for use in _OTHER_USES)
    ]
    return known or bases


def _base(model: Model) -> dict[str, Any]:
    shutdown = getattr(model, "shutdown_date", None)
    return {
        "id": model.id,
        "created": model.created or 0,
        "owned_by": model.owned_by or "",
        "shutdown_date": str(shutdown) if shutdown else None,
    }


def _by_base(job_slots: dict[str, int]) -> dict[str, int]:
    """Names of one base share its places: the least that is said of any counts."""
    least: dict[str, int] = {}
    for name, count in job_slots.items():
        base = slots.base_of(name)
        least[base] = min(count, least.get(base, count))
    return least


def _give_up(_: Session, credential: Credential) -> None:
    release(credential, after(REFRESH_EVERY))


refresh = Step(Credential, _plan, _call, _record, _give_up)
