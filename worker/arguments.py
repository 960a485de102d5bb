"""What the create of a job names: its files, by the provider's ids, and what its caller has asked for."""

from typing import Any

from sqlmodel import Session

from shared.datasets import service as datasets
from shared.datasets.models import Dataset, ProviderFileStatus
from shared.jobs import service as jobs
from shared.jobs.models import Job


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


def asked(job: Job, files: dict[str, str]) -> dict[str, Any]:
    """The arguments of the create. What the caller left open is left out, for providers that know less than OpenAI."""
    method = job.method if job.method != {"type": "supervised", "supervised": {"hyperparameters": {}}} else None
    asked = {"model": job.model, "suffix": job.suffix, "method": method, "integrations": job.integrations}
    return {"seed": job.seed, **files, **{name: value for name, value in asked.items() if value is not None}}
