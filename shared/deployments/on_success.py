"""Deploys the model of a job that has succeeded, if the job asked for it, or its project or its account is set so."""

from pydantic import ValidationError
from sqlmodel import Session

from shared.deployments import service as deployments
from shared.deployments.deployable import Deployable, needs_deployment
from shared.deployments.schemas import DeploymentCreate
from shared.errors import ServiceError
from shared.jobs import service as jobs
from shared.jobs.models import Job, Level
from shared.projects import service as projects
from shared.projects.models import Credential, Project


def deploy(session: Session, job: Job) -> None:
    """What refuses it is an event of the job, which has succeeded all the same. Of an archived project none is made."""
    project, credential = session.get_one(Project, job.project_id), session.get_one(Credential, job.credential_id)
    asks = {"job": job.deploy_on_success, "project": project.deploy_on_success, "account": credential.deploy_on_success}
    if (
        job.deploy_on_success is False
        or not any(asks.values())
        or job.fine_tuned_model is None
        or not needs_deployment(credential)
    ):
        return
    if not projects.hold_active(session, project.id):
        return
    found = Deployable(credential, job.id, job.model)
    try:
        with session.begin_nested():
            made = deployments.begin(session, project, found, DeploymentCreate(model=job.fine_tuned_model))
    except ServiceError as refusal:
        jobs.add_event(session, job, f"The model is not deployed: {refusal.message}", Level.WARN)
    except ValidationError as error:  # the provider chose a name that no request may have
        jobs.add_event(session, job, f"The model is not deployed: its name: {error.errors()[0]['msg']}", Level.WARN)
    else:
        who = next(each for each, has_asked in asks.items() if has_asked)
        jobs.add_event(session, job, f"The model is deployed, as {made.id}: its {who} has `deploy_on_success`")
