"""Ends what deployments stand on: a model, an account, a project. None of them may leave one running."""

from sqlmodel import Session

from shared.deployments import service as deployments
from shared.jobs import archiving, credential_use, tuned_models
from shared.projects import credentials
from shared.projects.credential_schemas import CredentialUpdate
from shared.projects.models import Credential, Project


def delete_model(session: Session, project_id: str, name: str) -> None:
    """As `tuned_models.delete_model`. Raises `Invalid` (`model_in_use`) while it is deployed, too."""
    tuned_models.delete_model(session, project_id, name)
    deployments.check_not_deployed(session, project_id, name)  # with the model locked, which a create waits for


def delete_credential(session: Session, project_id: str, credential_id: str) -> Credential:
    """As `credential_use.delete_credential`. Raises `Invalid` while a deployment needs it, too."""
    credential = credential_use.delete_credential(session, project_id, credential_id)
    deployments.check_account_unused(session, credential_id)
    return credential


def update_credential(session: Session, project_id: str, credential_id: str, new: CredentialUpdate) -> Credential:
    """As `credentials.update`. Raises `Invalid` for other options while a deployment needs those that it has."""
    before = credentials.get(session, project_id, credential_id, lock=True).options
    if new.options not in (None, before):
        deployments.check_account_unused(session, credential_id)
    return credentials.update(session, project_id, credential_id, new)


def archive_project(session: Session, project_id: str) -> Project:
    """Archive a project, cancel its jobs and stop its deployments. Raises `NotFound`."""
    project = archiving.archive_project(session, project_id)
    deployments.stop_all(session, project.id, "project_archived", "It was stopped: its project was archived")
    return project
