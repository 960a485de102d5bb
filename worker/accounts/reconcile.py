"""Compares an account at a provider with the database, and repairs what crashes have left: adopts, cancels or deletes.

Only jobs and deployments with our mark and files with a name of ours count. One whose id our database does not know
belongs to another installation and is not touched.
"""

from datetime import timedelta

import structlog
from sqlmodel import Session, col, or_, select

from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile
from shared.db.claims import make_due
from shared.db.times import utc_now
from shared.deployments.deployable import needs_deployment
from shared.deployments.models import Deployment
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, NextAction, Slot
from shared.jobs.transitions import set_next_action
from shared.projects.models import Credential, Organization
from shared.settings import get_settings
from worker.accounts import deployed
from worker.accounts.findings import Action, Finding
from worker.datasets.upload_to_provider import NAME
from worker.deployments.calls import delete, provider_of
from worker.jobs.fetch import status_of
from worker.providers import protocol
from worker.providers.errors import ProviderError
from worker.providers.protocol import ProviderJob
from worker.providers.registry import get_provider
from worker.runtime import shares

MAX_JOB_AGE = timedelta(days=30)  # no older job is still active
MIN_FILE_AGE = timedelta(hours=1)  # a younger file may not be recorded yet, or a job may be about to name it
log = structlog.get_logger(__name__)


def find(credential: Credential, *, restored: bool = False) -> list[Finding]:
    """What has to be repaired at this account. Changes nothing. Raises `ProviderError`.

    `restored` says that the database was put back to an earlier state. Then an unknown job with our organization's id
    is ours and gets cancelled, an unknown deployment is stopped, and a job may have ended there before its row knew of
    it. Never set it for a copy of a database: its jobs are the original's.
    """
    provider = get_provider(credential)
    listed = provider.list_jobs(utc_now() - MAX_JOB_AGE)
    active = [job for job in listed if not _has_ended(job)]
    files = provider.list_files()
    deployments = provider_of(credential).list_deployments() if needs_deployment(credential) else []
    with transaction() as session:  # read after the lists, so that a row newer than a list is seen
        of_jobs = _jobs(session, credential, listed if restored else active, restored)
        return [*of_jobs, *deployed.find(session, credential, deployments, restored), *_files(session, files, active)]


def _has_ended(job: ProviderJob) -> bool:
    return status_of(job, JobStatus.RUNNING).is_final


def _jobs(session: Session, credential: Credential, there: list[ProviderJob], restored: bool) -> list[Finding]:
    ours = {job.id: job.mark.job_id for job in there if job.mark is not None}
    rows = {job.id: job for job in session.exec(select(Job).where(col(Job.id).in_(set(ours.values()))))}
    organization_id = session.exec(select(Organization.id)).one()
    found = []
    for job in there:
        if job.id not in ours:
            continue
        row = rows.get(ours[job.id])
        judged = _judge(row, job.id, credential) if row else _judge_unknown(job, organization_id, restored)
        if judged is not None and (judged[0] is Action.ADOPT or not _has_ended(job)):
            found.append(Finding(job.id, ours[job.id], *judged, job.created_at or utc_now()))
    return found


def _judge_unknown(job: ProviderJob, organization_id: str, restored: bool) -> tuple[Action, str]:
    if job.mark is None or job.mark.organization_id != organization_id:
        return Action.LEAVE, "another installation's"
    if restored:
        return Action.CANCEL, "our organization's, and unknown since the database was restored"
    return Action.LEAVE, "our organization's, but unknown: has the database been restored, or copied?"


def _judge(row: Job, provider_job_id: str, credential: Credential) -> tuple[Action, str] | None:
    """What to do with a job at the provider that carries the row's id. None if the row points to it, or if the row's
    own steps will find it."""
    if row.provider_job_id not in {None, provider_job_id}:
        return Action.CANCEL, f"the job is {row.provider_job_id} at the provider"
    if row.status is JobStatus.SUCCEEDED and row.provider_job_id == provider_job_id:
        return None  # a trainer was put back to an earlier state: the job goes on there, and its model comes back
    if row.status.is_final:
        return (Action.CANCEL, f"the job has {row.status}") if row.due_at is None else None
    if row.provider_job_id is not None or row.create_pending_at is not None:
        return None
    if row.credential_id != credential.id:
        return Action.LEAVE, f"the job belongs to {row.credential_id}"
    return Action.ADOPT, "the job does not know of it"


def _files(session: Session, files: list[protocol.ProviderFile], active: list[ProviderJob]) -> list[Finding]:
    ours = {file.id: match[1] for file in files if (match := NAME.fullmatch(file.name))}
    known = set(session.exec(select(Dataset.id).where(col(Dataset.id).in_(set(ours.values())))))
    recorded = select(ProviderFile).where(
        or_(col(ProviderFile.provider_file_id).in_(ours), col(ProviderFile.dataset_id).in_(known))
    )
    rows = session.exec(recorded).all()
    kept = {row.provider_file_id for row in rows}
    kept |= {file_id for job in active for file_id in (job.training_file, job.validation_file)}
    being_sent = {row.dataset_id for row in rows if row.upload_pending_at is not None}
    newest = utc_now() - MIN_FILE_AGE
    return [
        Finding(file.id, ours[file.id], *_judge_file(ours[file.id] in known), made_at)
        for file in files
        if file.id in ours
        and file.id not in kept
        and ours[file.id] not in being_sent
        and (made_at := file.created_at) is not None
        and made_at < newest
    ]


def _judge_file(is_known: bool) -> tuple[Action, str]:
    if not is_known:
        return Action.LEAVE, "another installation's"
    return Action.DELETE, "no row of ours points to it"


def carry_out(credential: Credential, found: list[Finding]) -> None:
    """Carry out the findings. What the provider refuses is logged, and found again the next time."""
    provider = get_provider(credential)
    for each in found:
        try:
            match each.action:
                case Action.ADOPT if each.ours.startswith(Deployment.id_prefix):
                    deployed.adopt(each)
                case Action.ADOPT:
                    _adopt(each)
                case Action.STOP:
                    delete(provider_of(credential), each.id)
                case Action.CANCEL:
                    provider.cancel_job(each.id)
                case Action.DELETE:
                    provider.delete_file(each.id)
                case Action.LEAVE:
                    continue
        except ProviderError as error:
            log.warning("a finding could not be repaired", provider_id=each.id, reason=error.message)
        else:
            log.warning("repaired a finding", action=each.action, provider_id=each.id, ours=each.ours, why=each.why)


def _adopt(each: Finding) -> None:
    """Make the job search for it: its create counts as one without an answer whose grace is over."""
    with transaction() as session:
        job = session.get_one(Job, each.ours, with_for_update={"key_share": True})
        if job.status.is_final or job.provider_job_id is not None or job.create_pending_at is not None:
            return
        job.create_pending_at = min(each.made_at, utc_now() - get_settings().create_grace)
        set_next_action(job, NextAction.FIND)
        job.slot = Slot.HELD
        if job.status is JobStatus.PAUSED:
            jobs.set_request(job, JobRequest.PAUSE)
        make_due(session, job)


def reconcile(credential_id: str) -> None:
    """The daily run, whose results are in the log. If the account's project has its share of the slots, the next hourly
    work enqueues it again."""
    with transaction() as session:
        credential = session.get_one(Credential, credential_id)
    try:
        shares.take_slot(credential.project_id or "", is_heavy=True)
        carry_out(credential, find(credential))
    except shares.NoSlot:
        with transaction() as session:
            session.get_one(Credential, credential_id).reconciled_at = None
    except ProviderError as error:
        log.warning("the provider cannot be reconciled now", credential=credential_id, reason=error.message)
    finally:
        shares.leave_slot()
