"""What can be deployed: a model or a checkpoint of a project's own job, at an account whose provider deploys."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from shared.errors import Invalid
from shared.jobs import tuned_models
from shared.jobs.models import Checkpoint, Job, TunedModel
from shared.projects.credentials import capabilities_of
from shared.projects.models import Credential


@dataclass(frozen=True)
class Deployable:
    """`provider_checkpoint_id` is None for the model at the end of the job."""

    credential: Credential
    job_id: str
    base_model: str
    provider_checkpoint_id: str | None = None


def needs_deployment(credential: Credential) -> bool:
    return capabilities_of(credential).needs_deployment


def find_deployable(session: Session, project_id: str, name: str) -> Deployable:
    """Raises `NotFound` for what no job of the project has made, or what is no longer there; `Invalid` for a base."""
    found = _model(session, project_id, name) or _checkpoint(session, project_id, name)
    if found is None or found.credential.deleted_at is not None or not tuned_models.is_own(session, project_id, name):
        if tuned_models.is_base(session, project_id, name):
            sentence = f"{name} is a base model: ask it by this name. What your own jobs have made can be deployed"
            raise Invalid(sentence, param="model")
        raise tuned_models.not_found(name)
    return found


def _model(session: Session, project_id: str, name: str) -> Deployable | None:
    """Locked against deletion until the transaction ends."""
    query = select(TunedModel).where(
        TunedModel.project_id == project_id, TunedModel.name == name, col(TunedModel.deleted_at).is_(None)
    )
    query = query.order_by(col(TunedModel.id).desc()).with_for_update(read=True, key_share=True)
    if (model := session.exec(query).first()) is None:
        return None
    return Deployable(session.get_one(Credential, model.credential_id), model.job_id, model.base_model)


def _checkpoint(session: Session, project_id: str, name: str) -> Deployable | None:
    query = select(Checkpoint, Job).join(Job, col(Checkpoint.job_id) == Job.id)
    query = query.where(Checkpoint.project_id == project_id, Checkpoint.model == name)
    if (found := session.exec(query.where(col(Checkpoint.expired_at).is_(None))).first()) is None:
        return None
    checkpoint, job = found
    credential = session.get_one(Credential, job.credential_id)
    return Deployable(credential, job.id, job.model, checkpoint.provider_checkpoint_id)
