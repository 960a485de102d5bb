"""Names of resources, `accounts/{account}/{kind}/{id}`. What we create has ids of ours, so nothing is made twice."""

import re

from worker.providers import sanitize
from worker.providers.openai.calls import path
from worker.providers.protocol import NewJob

SUPERVISED, PREFERENCE = "supervisedFineTuningJobs", "dpoJobs"
JOB_KINDS = (SUPERVISED, PREFERENCE)
MAX_ID_LENGTH = 63
MAX_SUFFIX_LENGTH = 24  # of a model's id, so that our job's id fits behind it
_FILE = "#"  # in no name of a resource
_ODD = re.compile("[^a-z0-9-]+")


def as_id(text: str) -> str:
    """Lower-case letters, digits and hyphens, and a letter first."""
    id = _ODD.sub("-", text.lower()).strip("-")
    return (id if id[:1].isalpha() else f"x-{id}")[:MAX_ID_LENGTH]


def dataset_id(filename: str) -> str:
    return as_id(filename.removesuffix(".jsonl"))


def model_id(job: NewJob) -> str:
    suffix = as_id(job.suffix)[:MAX_SUFFIX_LENGTH] if job.suffix else ""
    return f"{suffix}-{as_id(job.mark.job_id)}".lstrip("-")


def tail(name: object) -> str:
    """The id at the end of a resource's name. Raises `ValueError` if there is none that can be kept."""
    id = name.rpartition("/")[2] if isinstance(name, str) else None
    if not sanitize.is_id(id):
        raise ValueError("it is an object without a name")
    return str(id)


def some_tail(name: object) -> str | None:
    return sanitize.some_text(name.rpartition("/")[2]) if isinstance(name, str) else None


def job_path(provider_job_id: str) -> str:
    kind, id = split_job(provider_job_id)
    return path(f"/{kind}", id)


def split_job(provider_job_id: str) -> tuple[str, str]:
    """The kind and the id of `{kind}/{id}`, by which we know a job."""
    kind, _, id = provider_job_id.partition("/")
    return (kind, id) if kind in JOB_KINDS else (SUPERVISED, provider_job_id)


def model_path(name: str) -> str:
    """Of a model of the account, by its full name or by its id."""
    return path("/models", name.rpartition("/models/")[2])


def weights_id(model: str, file: str) -> str:
    """By which we know a file of a tuned model's weights."""
    return f"{model}{_FILE}{file}"


def split_weights(file_id: str) -> tuple[str, str] | None:
    """The model and the file; None for an id of something else."""
    model, mark, file = file_id.partition(_FILE)
    return (model, file) if mark else None
