"""Asks for deployments, stops them, and says where a deployed model is to be called."""

from datetime import timedelta

from sqlalchemy import text, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.claims import make_due, release
from shared.db.owned import get_owned
from shared.db.quotas import count_up_to, one_at_a_time
from shared.db.times import utc_now
from shared.deployments import hours
from shared.deployments.deployable import Deployable, find_deployable, needs_deployment
from shared.deployments.models import IS_OPEN, IS_WANTED, Deployment, DeploymentStatus
from shared.deployments.prices import price_per_hour
from shared.deployments.schemas import MIN_IDLE_SECONDS, DeploymentCreate, DeploymentPublic
from shared.errors import DeploymentStarting, Invalid, QuotaExceeded
from shared.jobs import tuned_models
from shared.jobs.creation import new_job
from shared.notifications import events
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.callers import Caller
from shared.projects.models import Credential, Project
from shared.projects.quotas import quotas_in_force
from shared.providers.options import DEPLOYMENT_OPTIONS
from shared.settings import get_settings
from shared.webhooks.event_types import EventType

NOTE_CHAT_EVERY = timedelta(minutes=1)
RETRY_AFTER_SECONDS = 15
EVENTS = {
    DeploymentStatus.READY: EventType.DEPLOYMENT_READY,
    DeploymentStatus.STOPPED: EventType.DEPLOYMENT_STOPPED,
    DeploymentStatus.FAILED: EventType.DEPLOYMENT_FAILED,
}


def create(session: Session, caller: Caller, new: DeploymentCreate) -> Deployment:
    """Ask for a deployment; the worker makes it. Raises `NotFound` for a model that is not the project's own.

    Raises `Invalid`, `Forbidden`, `QuotaExceeded` or `SpendLimitExceeded` for what is refused already now.
    """
    project = projects.get_active_project(session, caller.project_id)
    found = find_deployable(session, project.id, new.model)
    tuned_models.check_permitted(session, project.id, caller.model_rule, new.model)
    return begin(session, project, found, new)


def begin(session: Session, project: Project, found: Deployable, new: DeploymentCreate) -> Deployment:
    """As `create`, without a caller."""
    if not needs_deployment(found.credential):
        sentence = f"{new.model} needs no deployment at {found.credential.provider}: chat with it by this name"
        raise Invalid(sentence, code="deployment_not_needed", param="model")
    if not credentials.hold(session, found.credential):
        raise tuned_models.not_found(new.model)
    options = new_job.provider_options(found.credential, new.provider_options, DEPLOYMENT_OPTIONS)
    _check_room(session, project.id, new.model)
    deployment = Deployment(
        project_id=project.id,
        credential_id=found.credential.id,
        provider=found.credential.provider,
        job_id=found.job_id,
        model=new.model,
        provider_checkpoint_id=found.provider_checkpoint_id,
        base_model=found.base_model,
        provider_options=options,
        idle_seconds=_idle_seconds(new.idle_timeout),
        price_per_hour=price_per_hour(found.credential, options or {}),
    )
    session.add(deployment)
    session.flush()
    make_due(session, deployment)
    hours.begin(session, deployment)  # last, since others may wait for its lock
    return deployment


def _idle_seconds(given: int | None) -> int | None:
    """None is never."""
    if given is not None and 0 < given < MIN_IDLE_SECONDS:
        sentence = f"idle_timeout must be at least {MIN_IDLE_SECONDS} s, or 0 for never"
        raise Invalid(sentence, param="idle_timeout")
    default = int(get_settings().deployments.idle_timeout.total_seconds())
    return (default if given is None else given) or None


def _check_room(session: Session, project_id: str, model: str) -> None:
    """Raises `QuotaExceeded`, and `Invalid` if the model is deployed already."""
    one_at_a_time(session, "deployments", project_id)
    if (other := _open(session, project_id, model)) is not None:
        is_stopping = other.status is DeploymentStatus.STOPPING
        advice = "wait until it has stopped" if is_stopping else "use it, or delete it first"
        sentence = f"{model} is deployed already, as {other.id}, which is {other.status}: {advice}"
        raise Invalid(sentence, code="model_already_deployed", param="model")
    limit = quotas_in_force(session, project_id).deployments
    if limit is not None and (used := count_up_to(session, open_ones(project_id), limit)) >= limit:
        raise QuotaExceeded("deployments", used, limit, "delete deployments that are no longer needed")


def open_ones(project_id: str) -> SelectOfScalar[str]:
    """Return a query for the ids of the project's deployments that have not ended."""
    return select(Deployment.id).where(Deployment.project_id == project_id, text(IS_OPEN))


def _wanted(session: Session, project_id: str, model: str) -> Deployment | None:
    query = select(Deployment).where(Deployment.project_id == project_id, Deployment.model == model, text(IS_WANTED))
    return session.exec(query).one_or_none()


def _open(session: Session, project_id: str, model: str) -> Deployment | None:
    """The newest that has not ended: it may cost money."""
    query = select(Deployment).where(Deployment.project_id == project_id, Deployment.model == model, text(IS_OPEN))
    return session.exec(query.order_by(col(Deployment.id).desc())).first()


def delete(session: Session, project_id: str, deployment_id: str) -> Deployment:
    """Ask for the end of a deployment; one that ends already is returned as it is. Raises `NotFound`."""
    deployment = get_owned(session, Deployment, deployment_id, project_id, param="deployment_id", lock=True)
    stop(session, deployment, "deleted", "It was stopped by a request")
    return deployment


def stop(
    session: Session,
    deployment: Deployment,
    code: str,
    message: str,
    ends_as: DeploymentStatus = DeploymentStatus.STOPPED,
) -> None:
    """Let the next step end the deployment, unless it ends already. One that the provider never had ends at once."""
    if deployment.status.is_final or deployment.status is DeploymentStatus.STOPPING:
        return
    deployment.reason, deployment.ends_as = {"code": code, "message": message}, ends_as
    move(session, deployment, DeploymentStatus.STOPPING)
    if deployment.create_pending_at is None and deployment.provider_deployment_id is None:
        finish(session, deployment)
    else:
        make_due(session, deployment, even_if_backing_off=True)


def finish(session: Session, deployment: Deployment) -> None:
    """Nothing of it is left at the provider: settle it, and end its steps."""
    deployment.stopped_at = utc_now()
    hours.end(session, deployment, deployment.stopped_at)
    move(session, deployment, deployment.ends_as or DeploymentStatus.STOPPED)
    release(deployment, None)


def move(session: Session, deployment: Deployment, status: DeploymentStatus) -> None:
    """Change the status, and tell the project of it. One that is ready again is not told again."""
    is_new = deployment.status is not status and not (status is DeploymentStatus.READY and deployment.ready_at)
    deployment.status = status
    if status is DeploymentStatus.READY:
        deployment.ready_at = deployment.ready_at or utc_now()
    if is_new and status in EVENTS:
        data = DeploymentPublic.of(deployment).model_dump(mode="json")
        events.emit(session, deployment.project_id, EVENTS[status], data)


def stop_all(session: Session, project_id: str, code: str, message: str) -> None:
    """Stop each deployment of a project. Locks them in order of id."""
    wanted = select(Deployment).where(Deployment.project_id == project_id, text(IS_WANTED)).order_by(Deployment.id)
    for deployment in session.exec(wanted.with_for_update(key_share=True)).all():
        stop(session, deployment, code, message)


def check_not_deployed(session: Session, project_id: str, model: str) -> None:
    """Raises `Invalid` for a model of which a deployment has not ended: it costs money, and would lose its name."""
    if (deployment := _open(session, project_id, model)) is not None:
        sentence = f"{model} is deployed as {deployment.id}: delete that first, and wait until it has stopped"
        raise Invalid(sentence, code="model_in_use", param="model")


def check_account_unused(session: Session, credential_id: str) -> None:
    """Raises `Invalid` while something runs at the account, which without its key nobody could stop."""
    query = select(Deployment.id).where(Deployment.credential_id == credential_id, text(IS_OPEN)).limit(1)
    if (deployment_id := session.exec(query).first()) is not None:
        sentence = f"{credential_id} is needed by {deployment_id}: delete it, and wait until it has stopped"
        raise Invalid(sentence, code="credential_in_use", param="credential_id")


def to_call(session: Session, project_id: str, credential: Credential, model: str) -> Deployment | None:
    """Return the deployment that answers for a model, by its `chat_model`; None for one that needs none.

    Notes that it is used. Raises `Invalid` (`model_not_deployed`) for one that must be deployed first, and
    `DeploymentStarting`.
    """
    if not needs_deployment(credential) or not tuned_models.is_own(session, project_id, model):
        return None
    found = _wanted(session, project_id, model)
    if found is None:
        raise Invalid(
            f"{model} is not deployed, and {credential.provider} answers chats only for models that are: create a "
            'deployment with POST /v1/deployments {"model": …}, which costs money, and wait until it is "ready"',
            code="model_not_deployed",
            param="model",
        )
    if found.status is not DeploymentStatus.READY or found.chat_model is None:
        sentence = f"{model} is being deployed as {found.id} and does not answer yet: try again in a moment"
        raise DeploymentStarting(sentence, retry_after=RETRY_AFTER_SECONDS)
    _note_chat(session, found)
    return found


def _note_chat(session: Session, deployment: Deployment) -> None:
    """At most once a minute, as a write costs more than the chat's other queries; a worker's lock is not waited for."""
    now = utc_now()
    if deployment.last_chat_at is not None and deployment.last_chat_at > now - NOTE_CHAT_EVERY:
        return
    free = select(Deployment.id).where(Deployment.id == deployment.id).with_for_update(skip_locked=True, key_share=True)
    session.exec(update(Deployment).where(col(Deployment.id).in_(free)).values(last_chat_at=now))
