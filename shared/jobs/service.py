"""Creates jobs, takes requests to cancel, pause or resume them, changes their status, and notifies their project."""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, event, func, update
from sqlmodel import Session, col, or_, select

from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus
from shared.db.claims import make_due, release
from shared.db.owned import check_cursor, get_owned, list_owned
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.jobs import tuned_models, waiting
from shared.jobs.creation import fitness, new_job, quota, unsupported
from shared.jobs.elsewhere.translation import carry_over
from shared.jobs.models import Approval, Checkpoint, Job, JobEvent, JobRequest, JobStatus, Level, NextAction, Slot
from shared.jobs.queue import slots
from shared.jobs.schemas import JobCreate, JobPublic, shown_status
from shared.jobs.spending import costs, reservation
from shared.jobs.transitions import EVENT_ON_ENTERING, MOVES, PERMITTED_WHEN, set_next_action
from shared.jobs.waiting import names_file
from shared.metrics.instruments import JOB_SECONDS
from shared.notifications import events
from shared.projects import service as projects
from shared.projects.callers import Caller
from shared.projects.models import Credential
from shared.webhooks.event_types import EventType


def create(session: Session, caller: Caller, new: JobCreate) -> Job:
    """Accept a job, and make its first step due. The provider judges what cannot be checked here.

    Raises `NotFound` for files and models that are not the project's, and `Invalid`, `Forbidden`, `JobLimitReached` or
    `SpendLimitExceeded` for what is refused already now.
    """
    project = projects.get_active_project(session, caller.project_id)
    quota.check(session, caller.project_id)
    before = new_job.copied(session, caller.project_id, new)
    asked = new_job.columns(new, before)
    new_job.check_scope(caller, asked)
    provider = new_job.provider(session, caller.project_id, new, before)
    credential = tuned_models.account_to_tune(session, caller.project_id, asked["model"], provider)
    new_job.check_models(session, project, asked)
    changes = carry_over(credential, asked, new, before) if before else []
    asked["provider_options"] = new_job.provider_options(credential, asked["provider_options"])
    unsupported.check_asked(credential, {**asked, "seed": new.seed})  # not one that was drawn or copied
    files = new_job.files(session, caller.project_id, asked)
    unsupported.check_size(credential, asked["method"]["type"], files["training_file"])
    warnings = changes + fitness.check(session, caller.project_id, credential, asked, files)
    for dataset in files.values():
        datasets.forget_refusal(session, dataset.id, credential.id)
    job = Job(
        project_id=caller.project_id,
        organization_id=caller.organization_id,
        credential_id=credential.id,
        provider=credential.provider,
        api_key_id=caller.key_id,
        **asked,
    )
    session.add(job)
    session.flush()
    costs.note_estimate(session, job)
    add_event(session, job, new_job.accepted_sentence(session, job, new))
    for sentence in warnings:
        add_event(session, job, sentence, Level.WARN)
    notify(session, job, EventType.JOB_CREATED)
    make_due(session, job)
    reservation.begin(session, job)  # last, since others may wait for its lock
    return job


def list_events(session: Session, project_id: str, job_id: str, *, after: str | None, limit: int) -> list[JobEvent]:
    get_owned(session, Job, job_id, project_id, param="fine_tuning_job_id")
    return list_owned(session, JobEvent, project_id, JobEvent.job_id == job_id, after=after, limit=limit)


def list_checkpoints(
    session: Session, project_id: str, job_id: str, *, after: str | None, limit: int
) -> list[Checkpoint]:
    """Return up to `limit` + 1 checkpoints by descending step, since a provider may report them in another order."""
    get_owned(session, Job, job_id, project_id, param="fine_tuning_job_id")
    query = select(Checkpoint).where(Checkpoint.project_id == project_id, Checkpoint.job_id == job_id)
    if after is not None:
        check_cursor(session, Checkpoint, after, project_id)
        seen = select(Checkpoint.step_number).where(Checkpoint.id == after).scalar_subquery()
        query = query.where(col(Checkpoint.step_number) < seen)
    return list(session.exec(query.order_by(col(Checkpoint.step_number).desc()).limit(limit + 1)))


def make_request(session: Session, project_id: str, job_id: str, request: JobRequest) -> Job:
    """Request a cancel, a pause or a resume. The worker passes it on, and the provider decides.

    If the provider cannot have the job yet, the request is carried out here, at once. Raises `Invalid`
    (`invalid_job_status`) if the job's status does not permit it.
    """
    job = get_owned(session, Job, job_id, project_id, param="fine_tuning_job_id", lock=True)
    if PERMITTED_WHEN[request].isdisjoint({job.status, shown_status(job)}):
        *others, last = sorted(PERMITTED_WHEN[request])
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise Invalid(
            f"The job is {job.status}: {request} is for a job that is {allowed}",
            code="invalid_job_status",
            param="fine_tuning_job_id",
        )
    unsupported.check_request(session.get_one(Credential, job.credential_id), request)
    if not may_exist_at_provider(job):
        decide(session, job, request)
    elif job.request is not JobRequest.CANCEL:
        set_request(job, request)
        job.retries = 0
        make_due(session, job, even_if_backing_off=request is JobRequest.CANCEL)
    return job


def set_request(job: Job, request: JobRequest) -> None:
    """Let the next step pass the request on, as soon as it is known that the provider has the job.

    Refusals of an earlier request do not count against this one.
    """
    job.request, job.request_error, job.refusal_count = request, None, 0
    set_next_action(job, NextAction.FIND if job.provider_job_id is None else NextAction.REQUEST)


def decide(session: Session, job: Job, request: JobRequest) -> None:
    """Carry out the request for a job that the provider does not have: it is cancelled, paused, or queued as before."""
    job.request = job.request_error = None
    if request is JobRequest.CANCEL:
        move(session, job, JobStatus.CANCELLED)
        return
    move(session, job, JobStatus.PAUSED if request is JobRequest.PAUSE else JobStatus.QUEUED)
    if job.slot is not None:
        slots.wait(session, job)
    elif request is JobRequest.RESUME and job.approval is not Approval.AWAITED:
        make_due(session, job)


def may_exist_at_provider(job: Job) -> bool:
    return job.provider_job_id is not None or job.create_pending_at is not None


def move(session: Session, job: Job, status: JobStatus) -> None:
    """Change a job's status and emit its event. A final status ends the job's steps, reservation and slot.

    A change that `MOVES` does not permit is ignored, so that a late answer of the provider cannot revive an ended job.
    """
    if (job.status, status) not in MOVES:
        return
    job.status = status
    if status is JobStatus.RUNNING:
        job.started_at = job.started_at or utc_now()
    if status.is_final:
        if job.request is not None and job.request is not JobRequest.CANCEL:
            _drop_request(job, "invalid_job_status", f"The job ended before the provider could {job.request} it")
        job.request, job.estimated_finish_at = None, None
        set_next_action(job, None)
        job.finished_at = job.finished_at or utc_now()
        job.approval = None if job.approval is Approval.AWAITED else job.approval
        _count_end(session, status, (job.finished_at - job.created_at).total_seconds())
        release(job, None)
        reservation.end(session, job)
        slots.leave(session, job)
    elif status is JobStatus.PAUSED and job.slot is Slot.HELD:
        slots.wake_queue(session, job)
    if status in EVENT_ON_ENTERING:
        notify(session, job, EVENT_ON_ENTERING[status])


def _count_end(session: Session, status: JobStatus, seconds: float) -> None:
    event.listen(session, "after_commit", lambda _: JOB_SECONDS.labels(status).observe(seconds), once=True)


def refuse_request(session: Session, job: Job, request: JobRequest, code: str, reason: str) -> None:
    """Say in the job and in its events why a request was not carried out. A newer request stays."""
    sentence = f"The provider refused to {request} the job: {reason}"
    add_event(session, job, sentence, Level.WARN)
    if job.request is request:
        _drop_request(job, code, sentence)


def _drop_request(job: Job, code: str, sentence: str) -> None:
    job.request, job.request_error = None, {"code": code, "message": sentence, "param": None}


def notify(session: Session, job: Job, type: EventType) -> None:
    """Notifies the project of what happened to a job."""
    events.emit(session, job.project_id, type, JobPublic.of(job).model_dump(mode="json"))


def fail(session: Session, job: Job, code: str, message: str, param: str | None = None) -> None:
    """Fail a job with a code and a sentence: the provider's if it gave them, else our own."""
    job.error = {"code": code, "message": message, "param": param}
    add_event(session, job, message, Level.ERROR)
    move(session, job, JobStatus.FAILED)


def add_event(session: Session, job: Job, message: str, level: Level = Level.INFO) -> None:
    """Add a message of Tunery to the job's events."""
    session.add(JobEvent(project_id=job.project_id, job_id=job.id, level=level, message=message))


WAIT_FOR_FILES = timedelta(seconds=10)  # a file that becomes ready wakes its jobs; this is for a lost wake-up


def wake_waiting(session: Session, dataset_id: str) -> None:
    """Make the jobs due that wait for this dataset. Locks them in order of id."""
    waiting = select(Job).where(*_waits_for(dataset_id))
    for job in session.exec(waiting.order_by(Job.id).with_for_update()):
        job.check_progress = None
        make_due(session, job)


def _waits_for(dataset_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        names_file(dataset_id),
        or_(
            col(Job.status) == JobStatus.VALIDATING_FILES,
            and_(col(Job.status) == JobStatus.QUEUED, col(Job.slot).is_(None)),  # it waited to be approved
        ),
        col(Job.provider_job_id).is_(None),
    )


def show_check_progress(session: Session, dataset_id: str) -> None:
    """Copy the progress of a dataset's check to the jobs that wait for it; of two datasets, the smaller value.

    Locked jobs are skipped: the next progress follows within about a second.
    """
    waiting = select(Job.id).where(*_waits_for(dataset_id)).order_by(Job.id)
    ids = list(session.exec(waiting.with_for_update(skip_locked=True, key_share=True)))
    if not ids:
        return
    checked = (col(Dataset.id) == Job.training_file) | (col(Dataset.id) == Job.validation_file)
    shares = select(func.min(Dataset.check_progress)).where(checked, Dataset.status == DatasetStatus.UPLOADED)
    session.exec(
        update(Job).where(col(Job.id).in_(ids)).values(check_progress=shares.scalar_subquery()),
        execution_options={"synchronize_session": False},
    )


def delete_dataset(session: Session, project_id: str, dataset_id: str) -> None:
    """Delete a file. Raises `Invalid` (`file_in_use`) if a job needs it that the provider has yet to take up."""
    dataset = get_owned(session, Dataset, dataset_id, project_id, lock=True)
    is_fit = datasets.is_usable_as(session, dataset, "training_file")
    named = names_file(dataset_id) if is_fit else col(Job.validation_file) == dataset_id
    named = or_(named, waiting.names_part_of(project_id, dataset_id))
    job_id = waiting.first_that_needs(session, project_id, named)
    if job_id is not None and datasets.is_usable_as(session, dataset, "validation_file"):
        raise Invalid(f"{dataset_id} is needed by {job_id}: cancel that job, or wait until it runs", code="file_in_use")
    datasets.delete(session, dataset)
