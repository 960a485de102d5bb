"""Lists all models that a project may use: OpenAI's list has no pages, and may have tens of thousands of models."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, tuple_
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


def list_models(session: Session, project_id: str, own_limit: int | None = None) -> list[ModelLine]:
    """Base models that may be tuned, then the project's own tuned models, newest first: `own_limit` of them at most."""
    own = _own_models(session, project_id, own_limit)
    ends = {made_on: end_of(session, *made_on) for made_on in {(base, account) for _, _, base, account in own}}
    return list_bases(session, project_id) + [
        ModelLine(name, epoch(created_at), project_id, ends[base, account]) for name, created_at, base, account in own
    ]


def list_bases(session: Session, project_id: str) -> list[ModelLine]:
    """Base models that may be tuned."""
    bases = {
        base["id"]: base
        for credential in credentials.usable_by(session, project_id)[::-1]
        for base in credential.base_models
    }
    made = made_by_a_job(session, project_id, bases)
    return [msgspec.convert(base, ModelLine) for name, base in bases.items() if name not in made]


def list_ending(session: Session, project_id: str, limit: int) -> list[ModelLine]:
    """The project's own models whose last day is announced: those that stop first, and of a day the newest first.

    Reads one row for each base and account, however many models were made on it.
    """
    made_on = select(TunedModel.base_model, TunedModel.credential_id).where(*_own(project_id)).distinct()
    ends = {pair: end for pair in session.exec(made_on).all() if (end := end_of(session, *pair))}
    found: list[ModelLine] = []
    for end in sorted(set(ends.values())):
        on_these = tuple_(col(TunedModel.base_model), col(TunedModel.credential_id)).in_(
            [pair for pair, last_day in ends.items() if last_day == end]
        )
        own = _own_models(session, project_id, limit - len(found), on_these)
        found += [ModelLine(name, epoch(created_at), project_id, end) for name, created_at, _, _ in own]
        if len(found) == limit:
            break
    return found


def _own(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return col(TunedModel.project_id) == project_id, col(TunedModel.deleted_at).is_(None)


def _own_models(
    session: Session, project_id: str, limit: int | None, *where: ColumnElement[bool]
) -> Sequence[tuple[str, datetime, str, str]]:
    """Name, time, base and account of each, newest first."""
    columns = select(TunedModel.name, TunedModel.created_at, TunedModel.base_model, TunedModel.credential_id)
    query = columns.where(*_own(project_id), *where).order_by(col(TunedModel.id).desc())
    return session.exec(query.limit(limit)).all()
