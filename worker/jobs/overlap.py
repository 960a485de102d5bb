"""Warns of examples that are in both files of a job, before the job is created."""

from dataclasses import dataclass

from sqlmodel import Session

from shared.datasets.models import Dataset
from shared.datasets.read_progress import call_before_reads
from shared.datasets.storage import store
from shared.datasets.validation.overlap import MAX_COMPARED_LINES, Overlap, overlap
from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, Level
from worker.runtime.shares import LARGE_FILE_BYTES
from worker.runtime.steps import Lease, log

MAX_COMPARED_BYTES = 1 << 30
MAX_COMPARISON_CRASHES = 2


@dataclass(frozen=True)
class Compare:
    """Compare these two files, while they are on their way to the provider."""

    training_file: str
    validation_file: str


@dataclass(frozen=True)
class Compared:
    """`found` is None if the files could not be read: the job goes on without the comparison."""

    files: Compare
    found: Overlap | None


def comparison(job: Job) -> Compare | None:
    """The comparison that this job still needs. After two crashes the job goes on without it."""
    if job.validation_file is None or job.compared_at is not None:
        return None
    if job.failures > MAX_COMPARISON_CRASHES:
        job.compared_at = utc_now()
        return None
    return Compare(job.training_file, job.validation_file)


def compares_large_files(session: Session, files: Compare) -> bool:
    both = (session.get_one(Dataset, id) for id in (files.training_file, files.validation_file))
    return any(dataset.bytes > LARGE_FILE_BYTES for dataset in both)


def compare(job: Job, files: Compare) -> Compared:
    lease = Lease(job)
    try:
        with store.open_dataset(files.validation_file) as ours, store.open_dataset(files.training_file) as theirs:
            found = overlap(
                call_before_reads(ours, lease.renew),
                call_before_reads(theirs, lease.renew),
                max_bytes=MAX_COMPARED_BYTES,
            )
        return Compared(files, found)
    except OSError as error:
        log.warning("the files of a job could not be compared", job_id=job.id, reason=str(error))
        return Compared(files, None)


def record_comparison(session: Session, job: Job, compared: Compared) -> None:
    job.compared_at = utc_now()
    found = compared.found
    if found is not None and found.exact + found.near:
        jobs.add_event(session, job, _sentence(compared.files, found), Level.WARN)
    release(job, utc_now())


def _sentence(files: Compare, found: Overlap) -> str:
    shared = found.exact + found.near
    nearly = f" ({found.near:,} of them nearly)" if found.near else ""
    most = f"{MAX_COMPARED_BYTES >> 20:,} MiB of each, and {MAX_COMPARED_LINES:,} lines of the smaller one"
    cut = "" if found.complete else f" Only the beginnings of the files were compared: at most {most}."
    return (
        f"{shared:,} of the {found.examples:,} examples of the validation file are also in the training file{nearly}: "
        f"the validation loss will look better than it is.{cut} "
        f"GET /v1/datasets/{files.validation_file}/compare?other={files.training_file} lists them"
    )
