"""Refuses what a job's provider has not: it is never left out in silence."""

from collections.abc import Mapping
from typing import Any

from shared.datasets.models import Dataset
from shared.datasets.validation.rules.fitness import of_examples
from shared.errors import Invalid
from shared.jobs.models import JobRequest
from shared.projects.credentials import Account, capabilities_of
from shared.projects.models import Credential
from shared.providers.capabilities import find_unsupported


def check_asked(credential: Credential, asked: Mapping[str, Any]) -> None:
    """Raises `Invalid` for the first column of a new job that asks for what this account's kind of provider has not."""
    found = find_unsupported(capabilities_of(credential), asked)
    if found is not None:
        raise Invalid(
            f"{found.param}: {credential.provider} {found.sentence}", code="unsupported_by_provider", param=found.param
        )


def check_size(credential: Credential, method: str, training: Dataset) -> None:
    """Raises `Invalid` for a training file of which this kind of provider is known to take no file of its size."""
    if training.examples is not None and (sentence := wrong_size(credential, method, training.examples)) is not None:
        raise Invalid(f"training_file: {sentence}", code="unsupported_by_provider", param="training_file")


def wrong_size(credential: Credential, method: str, examples: int) -> str | None:
    """Return a sentence about a training file with too few examples for the provider, or too many; None if it fits."""
    if not capabilities_of(credential).counts_examples:
        return None
    found = of_examples(examples, method, credential.provider, Account.of(credential).dialect)
    return found[0].message if found else None


def check_request(credential: Credential, request: JobRequest) -> None:
    """Raises `Invalid` if no job of this account can be paused, or none be resumed."""
    able = capabilities_of(credential)
    can = {JobRequest.PAUSE: able.can_pause, JobRequest.RESUME: able.can_resume, JobRequest.CANCEL: True}
    if not can[request]:
        sentence = f"{credential.provider} cannot {request} a job: let it run, or cancel it"
        raise Invalid(sentence, code="unsupported_by_provider", param="fine_tuning_job_id")
