"""Which models a project may name: the provider's base models, and what its own jobs have made."""

import re
from typing import Any

from sqlmodel import Session, col, select

from shared.datasets.validation.rules import rules
from shared.errors import Forbidden, NotFound
from shared.isolation import across_projects
from shared.jobs.models import Checkpoint, TunedModel
from shared.jobs.schemas import ModelPublic
from shared.projects import service as projects
from shared.projects.model_permissions import ModelRule
from shared.tables import make_due, utc_now
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def list_models(session: Session, project_id: str) -> list[ModelPublic]:
    """Base models that may be tuned, then the project's own tuned models, newest first."""
    bases = projects.base_models(session)
    query = select(TunedModel).where(TunedModel.project_id == project_id, col(TunedModel.deleted_at).is_(None))
    own = session.exec(query.order_by(col(TunedModel.id).desc())).all()
    return [ModelPublic(**base) for base in bases] + [ModelPublic.of(row, _shutdown(row, bases)) for row in own]


def get_model(session: Session, project_id: str, name: str) -> ModelPublic:
    bases = projects.base_models(session)
    for base in bases:
        if base["id"] == name:
            return ModelPublic(**base)
    model = _own(session, project_id, name)
    return ModelPublic.of(model, _shutdown(model, bases))


def tell_shutdowns(session: Session) -> None:
    """Tell each project once of each day on which a model of its own will stop."""
    bases = projects.base_models(session)
    alive = select(TunedModel).where(col(TunedModel.deleted_at).is_(None)).order_by(TunedModel.id)
    for model in session.exec(alive):
        date = _shutdown(model, bases)
        if date is not None and date != model.shutdown_date_told:
            model.shutdown_date_told = date
            told = ModelPublic.of(model, date).model_dump(mode="json")
            webhooks.emit(session, model.project_id, EventType.MODEL_SHUTDOWN_SCHEDULED, told)


def delete_model(session: Session, project_id: str, name: str) -> None:
    """From now on it is not found here; its next step deletes it at the provider."""
    if any(base["id"] == name for base in projects.base_models(session)):
        raise Forbidden(f"{name} is a base model: only what your own jobs have made can be deleted", param="model")
    model = _own(session, project_id, name, lock=True)
    model.deleted_at = utc_now()
    make_due(session, model)


def check_usable(session: Session, project_id: str, name: str) -> None:
    """Refuse a model that another project's job has made, in the words for one that never was.

    A name that nobody's job has made, and that is no tuned model's by its form, is left to the provider to judge.
    """
    if _is_own(session, project_id, name):
        return
    if name.startswith("ft:") or _is_made(session, name):
        raise not_found(name)


def _is_made(session: Session, name: str) -> bool:
    """By a job of whatever project."""
    with across_projects(session):
        made = session.exec(select(TunedModel.id).where(TunedModel.name == name)).first()
        return (made or session.exec(select(Checkpoint.id).where(Checkpoint.model == name)).first()) is not None


def check_callable(session: Session, project_id: str, name: str) -> None:
    """Refuse inference on anything but base models and what the project's own jobs have made."""
    if not any(base["id"] == name for base in projects.base_models(session)) and not _is_own(session, project_id, name):
        raise not_found(name)


def check_permitted(session: Session, project_id: str, rule: ModelRule | None, name: str) -> None:
    """Refuse what the project's model permissions do not let it use. A tuned model is judged by its first base."""
    if rule is None:
        return
    made = select(TunedModel.base_model).where(TunedModel.project_id == project_id, TunedModel.name == name)
    base = first_base(session.exec(made).first() or name)
    known = rules().model(base)
    names = {name, base, _SNAPSHOT.sub("", base)} | ({known.name, known.alias} if known else set())
    if not rule.allows(names):
        raise Forbidden(
            f"Project `{project_id}` does not have access to model `{name}`: ask your operator",
            code="model_not_found",
            param="model",
        )


def first_base(name: str) -> str:
    """Of a model tuned from a tuned one, `ft:base:…`, the first base of all."""
    return name.split(":")[1] if name.startswith("ft:") and ":" in name[3:] else name


def not_found(name: str) -> NotFound:
    return NotFound(
        f"The model `{name}` does not exist or you do not have access to it", code="model_not_found", param="model"
    )


def _is_own(session: Session, project_id: str, name: str) -> bool:
    """A checkpoint lives as long as it is not the name of a model that has been deleted."""
    model = select(TunedModel.deleted_at).where(TunedModel.project_id == project_id, TunedModel.name == name)
    found = session.exec(model).all()
    if found:
        return found[0] is None
    checkpoint = select(Checkpoint.id).where(Checkpoint.project_id == project_id, Checkpoint.model == name)
    return session.exec(checkpoint).first() is not None


def _own(session: Session, project_id: str, name: str, *, lock: bool = False) -> TunedModel:
    query = select(TunedModel).where(
        TunedModel.project_id == project_id, TunedModel.name == name, col(TunedModel.deleted_at).is_(None)
    )
    model = session.exec(query.with_for_update() if lock else query).one_or_none()
    if model is None:
        raise not_found(name)
    return model


def _shutdown(model: TunedModel, bases: list[dict[str, Any]]) -> str | None:
    """A tuned model ends with the first base of all."""
    name = first_base(model.base_model)
    return next((base.get("shutdown_date") for base in bases if base["id"] == name), None)
