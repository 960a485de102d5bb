"""Lists all models that a project may use: OpenAI's list has no pages, and may have tens of thousands of models."""

import msgspec
from sqlmodel import Session, col, select

from shared.db.times import epoch
from shared.jobs.models import TunedModel
from shared.jobs.names.readings import made_by_a_job
from shared.jobs.tuned_models import end_of
from shared.projects import credentials


class ModelLine(msgspec.Struct):
    """The same fields as `ModelPublic`, which takes ten times as long to make and to write."""

    id: str
    created: int
    owned_by: str
    shutdown_date: str | None = None
    object: str = "model"


def list_models(session: Session, project_id: str) -> list[ModelLine]:
    """Base models that may be tuned, then the project's own tuned models, newest first."""
    bases = {
        base["id"]: base
        for credential in credentials.usable_by(session, project_id)[::-1]
        for base in credential.base_models
    }
    made = made_by_a_job(session, project_id, bases)
    columns = select(TunedModel.name, TunedModel.created_at, TunedModel.base_model, TunedModel.credential_id)
    query = columns.where(TunedModel.project_id == project_id, col(TunedModel.deleted_at).is_(None))
    own = session.exec(query.order_by(col(TunedModel.id).desc())).all()
    ends = {made_on: end_of(session, *made_on) for made_on in {(base, account) for _, _, base, account in own}}
    shown = [msgspec.convert(base, ModelLine) for name, base in bases.items() if name not in made]
    return shown + [
        ModelLine(name, epoch(created_at), project_id, ends[base, account]) for name, created_at, base, account in own
    ]
