"""A dataset's own steps: it is checked, it expires, and once deleted its bytes and copies are removed."""

from dataclasses import dataclass

from sqlmodel import Session

from shared.datasets import service as datasets
from shared.datasets import storage
from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.validation import Checked, InvalidDataset, check
from shared.jobs import service as jobs
from shared.projects.models import Credential
from shared.tables import release, utc_now
from worker.providers import get_provider
from worker.providers.errors import ProviderError
from worker.steps import Step, try_again

Outcome = Checked | InvalidDataset | None


@dataclass(frozen=True)
class Copy:
    credential: Credential
    provider_file_id: str


@dataclass(frozen=True)
class Plan:
    """`copies` is None for a dataset to be checked."""

    dataset: Dataset
    copies: list[Copy] | None


def _plan(session: Session, dataset: Dataset) -> Plan | None:
    if dataset.deleted_at is None and dataset.expires_at is not None and dataset.expires_at <= utc_now():
        dataset.deleted_at = utc_now()
    if dataset.deleted_at is not None:
        files = datasets.provider_files(session, dataset.id)
        return Plan(
            dataset,
            [Copy(session.get_one(Credential, file.credential_id), file.provider_file_id or "") for file in files],
        )
    if dataset.status is not DatasetStatus.UPLOADED:
        release(dataset, dataset.expires_at)
        return None
    return Plan(dataset, None)


def _ask(plan: Plan) -> Outcome:
    if plan.copies is None:
        return _check(plan.dataset)
    for copy in plan.copies:
        _delete_copy(copy)
    storage.remove(plan.dataset.id)
    return None


def _check(dataset: Dataset) -> Outcome:
    try:
        with storage.open_dataset(dataset.id) as file:
            return check(file)
    except InvalidDataset as invalid:
        return invalid


def _delete_copy(copy: Copy) -> None:
    try:
        get_provider(copy.credential).delete_file(copy.provider_file_id)
    except ProviderError as error:
        if error.retryable:
            raise


def _record(session: Session, dataset: Dataset, plan: Plan, outcome: Outcome | ProviderError) -> None:
    if isinstance(outcome, ProviderError):
        try_again(dataset, outcome)
    elif outcome is None:
        datasets.forget_copies(session, dataset.id)
        release(dataset, None)
    else:
        datasets.record_check(dataset, outcome)
        if dataset.deleted_at is not None:
            release(dataset, utc_now())
        jobs.wake_waiting(session, dataset.id)


def _give_up(session: Session, dataset: Dataset) -> None:
    if dataset.deleted_at is None and dataset.status is DatasetStatus.UPLOADED:
        datasets.record_check(dataset, InvalidDataset("internal_error", "The file could not be read on our side"))
        jobs.wake_waiting(session, dataset.id)
    else:
        release(dataset, None)


advance = Step(Dataset, _plan, _ask, _record, _give_up)
