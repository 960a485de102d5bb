"""Builds the create of a job: its files, by the provider's ids, and the parameters that its caller set."""

from sqlmodel import Session, select

from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus, ProviderFileStatus
from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs import tuned_models
from shared.jobs.creation import fitness, unsupported
from shared.jobs.models import Job
from shared.jobs.spending import costs
from shared.projects.credentials import capabilities_of
from shared.projects.models import Credential
from worker.providers.protocol import Mark, NewJob
from worker.runtime.steps import after


def files(session: Session, job: Job, checked: dict[str, Dataset]) -> dict[str, str] | None:
    """The provider's ids of the job's files, by parameter, empty for one on its way there; None if it refused one."""
    found = {}
    for param, dataset in checked.items():
        file = datasets.provider_file(session, dataset, job.credential_id)
        if file.status is ProviderFileStatus.FAILED:
            jobs.fail(session, job, file.error_code or "file_refused", file.error_message or "", param)
            return None
        found[param] = file.provider_file_id or ""
    return found


def name_file(session: Session, job: Job, file_id: str) -> bool:
    """Note which training file the create is about to name.

    Where it is the mark of the job at the provider, no create may have named it before, not even of this job: returns
    False then, and the file is sent again for the next attempt.
    """
    if capabilities_of(session.get_one(Credential, job.credential_id)).is_file_the_mark:
        file = datasets.locked_provider_file(session, job.training_file, job.credential_id)
        same = (Job.training_file == job.training_file, Job.credential_id == job.credential_id)
        named = select(Job.id).where(*same, Job.provider_training_file == file_id).limit(1)
        if file.provider_file_id != file_id:
            return False
        if session.exec(named).first() is not None:
            file.expires_at = utc_now()
            return False
    job.provider_training_file = file_id
    return True


def new_job(session: Session, job: Job, files: dict[str, str]) -> NewJob:
    """`method` is None if it says no more than the default, for providers that know fewer methods than OpenAI."""
    return NewJob(
        mark=Mark(job.id, job.project_id, job.organization_id),
        model=job.model,
        training_file=files["training_file"],
        validation_file=files.get("validation_file"),
        seed=job.seed,
        suffix=job.suffix,
        method=job.method if job.method != {"type": "supervised", "supervised": {"hyperparameters": {}}} else None,
        integrations=job.integrations,
        provider_options=job.provider_options or {},
        is_tuned=tuned_models.is_own(session, job.project_id, job.model),
    )


def checked(session: Session, job: Job) -> dict[str, Dataset] | None:
    """The job's files, by parameter; None while one is still checked, or if one is bad."""
    found = {}
    for param, dataset_id in (("training_file", job.training_file), ("validation_file", job.validation_file)):
        if dataset_id is None:
            continue
        dataset = session.get_one(Dataset, dataset_id)
        if dataset.deleted_at is not None or not datasets.is_usable_as(session, dataset, param):
            code, message = dataset.error_code or "file_deleted", dataset.status_details or f"{dataset_id} was deleted"
            jobs.fail(session, job, code, message, param)
            return None
        if dataset.status is DatasetStatus.UPLOADED:
            release(job, after(jobs.WAIT_FOR_FILES))
            return None
        base = tuned_models.base_of(session, job.project_id, job.model)
        if (misfit := fitness.of_dataset(session, dataset, base, costs.method_of(job))) is not None:
            jobs.fail(session, job, fitness.openai_code(misfit, param), misfit.message, param)
            return None
        credential = session.get_one(Credential, job.credential_id)
        examples = dataset.examples or 0
        wrong = unsupported.wrong_size(credential, costs.method_of(job), examples) if param == "training_file" else None
        if wrong is not None:
            jobs.fail(session, job, "unsupported_by_provider", wrong, param)
            return None
        found[param] = dataset
    return found


def expire_provider_files(session: Session, job: Job) -> None:
    """The create names what the provider does not have, or finds bad, perhaps a file: the next job uploads it again."""
    for dataset_id in filter(None, (job.training_file, job.validation_file)):
        for file in datasets.provider_files(session, dataset_id):
            if file.credential_id == job.credential_id:
                file.expires_at = utc_now()
