"""One step of a deployment: create it, find it, look how it is, or stop it. Its hours are paid in the plan."""

from datetime import timedelta

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.deployments import hours
from shared.deployments import service as deployments
from shared.deployments.models import Deployment, DeploymentStatus
from shared.errors import SpendLimitExceeded
from shared.jobs.models import Job
from shared.settings import get_settings
from worker.deployments.calls import Answer, Plan, Work, call
from worker.deployments.record import record
from worker.jobs.backpressure import open_credential
from worker.providers.deploying import NewDeployment
from worker.runtime.errors import NotNow, internal_error
from worker.runtime.steps import Step, backoff, log


def _plan(session: Session, deployment: Deployment) -> Plan | None:
    """A create is committed as sent before it is, so that a worker that dies in it leaves one that is searched for."""
    if not deployment.status.is_final:
        _pay(session, deployment)
        _stop_if_unwanted(session, deployment)
    if deployment.status.is_final:
        release(deployment, None)
        return None
    work = _work(session, deployment)
    if work is None:
        return None
    if work is Work.CREATE:
        deployment.create_pending_at = utc_now()
    credential = open_credential(session, deployment.credential_id)
    asks = deployment.status is DeploymentStatus.STARTING
    return Plan(credential, _new(session, deployment), work, deployment.provider_deployment_id or "", asks)


def _pay(session: Session, deployment: Deployment) -> None:
    try:
        hours.advance(session, deployment, utc_now())
    except SpendLimitExceeded as error:
        deployments.stop(session, deployment, error.code, f"It was stopped, since its next hour is not paid. {error}")
        hours.reserve(session, deployment, even_beyond_limit=True)  # what it costs until it has stopped


def _stop_if_unwanted(session: Session, deployment: Deployment) -> None:
    """One that was ready and starts again idles as one that is ready: its time to start is over for good."""
    now, settings = utc_now(), get_settings().deployments
    if deployment.ready_at is not None and deployment.idle_seconds is not None:
        used_at = max(filter(None, (deployment.ready_at, deployment.last_chat_at)))
        if used_at + timedelta(seconds=deployment.idle_seconds) <= now:
            sentence = f"It was stopped: it had no chat for {deployment.idle_seconds} s"
            deployments.stop(session, deployment, "idle", sentence)
    elif deployment.ready_at is None and deployment.created_at + settings.start_timeout <= now:
        seconds = int(settings.start_timeout.total_seconds())
        sentence = f"It was not ready within {seconds} s; the provider says: {deployment.provider_status}"
        deployments.stop(session, deployment, "deployment_timeout", sentence, DeploymentStatus.FAILED)


def _work(session: Session, deployment: Deployment) -> Work | None:
    """Raises `NotNow` before the grace of a create in doubt is over: the provider's list may be late."""
    is_stopping = deployment.status is DeploymentStatus.STOPPING
    if deployment.provider_deployment_id is not None:
        return Work.STOP if is_stopping else Work.LOOK
    if deployment.create_pending_at is not None:
        wait_until = deployment.create_pending_at + get_settings().create_grace
        if wait_until > utc_now():
            raise NotNow(wait_until)
        return Work.FIND
    if is_stopping:
        deployments.finish(session, deployment)
        return None
    return Work.CREATE


def _new(session: Session, deployment: Deployment) -> NewDeployment:
    job = session.get_one(Job, deployment.job_id)
    return NewDeployment(
        id=deployment.id,
        model=deployment.model,
        provider_job_id=job.provider_job_id or "",
        provider_checkpoint_id=deployment.provider_checkpoint_id,
        base_model=deployment.base_model,
        provider_options=deployment.provider_options or {},
    )


def _give_up(session: Session, deployment: Deployment) -> None:
    """Stop it. If that keeps failing too its row ends, and what runs is found and stopped with the account's strays."""
    if deployment.status is DeploymentStatus.STOPPING:
        log.error("a deployment that was given up may run", row=deployment.id, at=deployment.provider_deployment_id)
        deployment.ends_as = DeploymentStatus.FAILED
        deployments.finish(session, deployment)
        return
    its_turn, sentence = utc_now() + backoff(deployment.failures), internal_error("this deployment", deployment.id)
    deployments.stop(session, deployment, "internal_error", sentence, DeploymentStatus.FAILED)
    if not deployment.status.is_final:
        release(deployment, its_turn)


advance: Step[Deployment, Plan, Answer] = Step(Deployment, _plan, call, record, _give_up)
