"""Records what a deployment's step has been answered, and when the next one is due."""

from datetime import timedelta

from sqlmodel import Session

from shared.db.claims import release
from shared.deployments import service as deployments
from shared.deployments.models import Deployment, DeploymentStatus
from shared.settings import get_settings
from worker.deployments.calls import Answer, Plan, Seen, Stopped, Work
from worker.jobs.backpressure import try_again
from worker.providers.deploying import ProviderDeployment, ProviderState
from worker.providers.errors import ProviderError
from worker.runtime.errors import StepError
from worker.runtime.steps import after, log

MAX_NOT_FOUND_LOOKS = 5  # in a row: replicas of a provider lag, and a 404 may be over in a moment
# So often in a row the provider says «ready» while the model refuses our question itself: it does answer others.
ENOUGH_LOOKS = 5
_ABOUT_THE_QUESTION = {400, 422}


def record(session: Session, deployment: Deployment, plan: Plan, answer: Answer | StepError) -> None:
    if isinstance(answer, StepError):
        _record_error(session, deployment, plan, answer)
    elif isinstance(answer, Stopped):
        _record_stopped(session, deployment, answer)
    elif plan.work is Work.LOOK:
        _record_look(session, deployment, answer)
    else:
        _record_found(deployment, answer.deployment)


def _record_error(session: Session, deployment: Deployment, plan: Plan, error: StepError) -> None:
    is_in_doubt = not isinstance(error, ProviderError) or error.effect_unknown
    if plan.work is Work.CREATE and not is_in_doubt:
        deployment.create_pending_at = None
        if not error.retryable:
            deployments.stop(session, deployment, error.code, error.message, DeploymentStatus.FAILED)
            _go_on(deployment)
            return
    if plan.work is not Work.CREATE and not error.retryable:
        log.error("the provider refuses a call about a deployment", row=deployment.id, work=plan.work, code=error.code)
    try_again(session, deployment, deployment.credential_id, error)


def _record_found(deployment: Deployment, found: ProviderDeployment | None) -> None:
    """It was created just now, or found after a create in doubt; if there is none it is created again, at once."""
    if found is not None:
        deployment.provider_deployment_id = found.id
        deployment.billed_until = deployment.create_pending_at
        log.info("the provider has the deployment", row=deployment.id, provider_deployment_id=found.id)
        if deployment.status is DeploymentStatus.REQUESTED:
            deployment.status = DeploymentStatus.STARTING
        _note(deployment, found)
    deployment.create_pending_at = None
    deployment.retries = 0
    release(deployment, after(timedelta()))


def _record_look(session: Session, deployment: Deployment, seen: Seen) -> None:
    deployment.retries = 0
    if seen.deployment is None:
        deployment.not_found_count += 1
        if deployment.not_found_count > MAX_NOT_FOUND_LOOKS:
            sentence = "The provider no longer knows this deployment: somebody else has deleted it there"
            deployments.stop(session, deployment, "deployment_missing", sentence)
    else:
        deployment.not_found_count = 0
        _note(deployment, seen.deployment)
        if deployment.status is not DeploymentStatus.STOPPING:
            _record_state(session, deployment, seen.deployment, seen.refusal)
    _go_on(deployment)


def _note(deployment: Deployment, seen: ProviderDeployment) -> None:
    deployment.provider_status = seen.provider_status
    deployment.chat_model = seen.chat_model or deployment.chat_model


def _record_state(
    session: Session, deployment: Deployment, seen: ProviderDeployment, refusal: ProviderError | None
) -> None:
    """An unknown word of the provider leaves the status as it is."""
    match seen.state:
        case ProviderState.FAILED:
            sentence = seen.error or "The provider gave no reason"
            deployments.stop(session, deployment, "deployment_failed", sentence, DeploymentStatus.FAILED)
        case ProviderState.STOPPED:
            deployments.stop(session, deployment, "stopped_at_provider", "The provider has stopped it")
        case ProviderState.STARTING:
            deployment.looks_ready = 0
            deployments.move(session, deployment, DeploymentStatus.STARTING)
        case ProviderState.READY if _is_believed(deployment, refusal):
            deployments.move(session, deployment, DeploymentStatus.READY)


def _is_believed(deployment: Deployment, refusal: ProviderError | None) -> bool:
    """Whether one that the provider calls ready is: it has a name and answers, or refuses the question all the time."""
    if deployment.chat_model is None:
        return False
    is_about_the_question = refusal is not None and refusal.status in _ABOUT_THE_QUESTION
    deployment.looks_ready = deployment.looks_ready + 1 if is_about_the_question else 0
    return refusal is None or deployment.looks_ready >= ENOUGH_LOOKS


def _record_stopped(session: Session, deployment: Deployment, answer: Stopped) -> None:
    deployment.retries = 0
    if answer.is_gone:
        deployments.finish(session, deployment)
    else:
        release(deployment, after(get_settings().poll_every))


def _go_on(deployment: Deployment) -> None:
    """One that has ended here has been released."""
    if deployment.status is DeploymentStatus.STOPPING:
        release(deployment, after(timedelta()))
    elif not deployment.status.is_final:
        is_ready = deployment.status is DeploymentStatus.READY
        settings = get_settings()
        release(deployment, after(settings.poll_ceiling if is_ready else settings.poll_every))
