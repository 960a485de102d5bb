"""Lists all models that a project may use: OpenAI's list has no pages, and may have tens of thousands of models."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, tuple_
from sqlmodel import Session, col, select

from shared.db.times import epoch
from shared.jobs.models import TunedModel
from shared.jobs.names.readings import made_by_a_job
from shared.jobs.tuned_models import providers_of, stated_end
from shared.projects import credentials
from shared.projects.models import Credential

_COLUMNS = ("name", "created_at", "base_model", "credential_id", "last_used_at")


class ModelLine(msgspec.Struct):
    """The same fields as `ModelPublic`, which takes ten times as long to make and to write."""

    id: str
    created: int
    owned_by: str
    shutdown_date: str | None = None
    last_used_at: int | None = None
    providers: list[str] = []
    object: str = "model"


def list_models(session: Session, project_id: str, own_limit: int | None = None) -> list[ModelLine]:
    """Base models that may be tuned, then the project's own tuned models, newest first: `own_limit` of them at most."""
    own = _own_models(session, project_id, own_limit)
    known = ends(session, {each[2:4] for each in own})
    return list_bases(session, project_id) + [_line(session, project_id, each, known[each[2:4]]) for each in own]


def ends(session: Session, made_on: Collection[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """Return the last day of the models that were made on each base at each account; None if it is not known.

    Reads the accounts, given by their ids, in one query.
    """
    ids = {account for _, account in made_on}
    accounts = {each.id: each for each in session.exec(select(Credential).where(col(Credential.id).in_(ids)))}
    return {(base, account): stated_end(base, accounts[account].base_models) for base, account in made_on}


def list_bases(session: Session, project_id: str) -> list[ModelLine]:
    """Base models that may be tuned."""
    accounts = credentials.usable_by(session, project_id)
    bases = {base["id"]: base for account in accounts[::-1] for base in account.base_models}
    made, providers = made_by_a_job(session, project_id, bases), providers_of(accounts)
    return [
        msgspec.convert({**base, "providers": providers[name]}, ModelLine)
        for name, base in bases.items()
        if name not in made
    ]


def list_ending(session: Session, project_id: str, limit: int) -> list[ModelLine]:
    """The project's own models whose last day is announced: those that stop first, and of a day the newest first.

    Reads one row for each base and account, however many models were made on it.
    """
    made_on = select(TunedModel.base_model, TunedModel.credential_id).where(*_own(project_id)).distinct()
    announced = {pair: end for pair, end in ends(session, session.exec(made_on).all()).items() if end}
    found: list[ModelLine] = []
    for end in sorted(set(announced.values())):
        on_these = tuple_(col(TunedModel.base_model), col(TunedModel.credential_id)).in_(
            [pair for pair, last_day in announced.items() if last_day == end]
        )
        own = _own_models(session, project_id, limit - len(found), on_these)
        found += [_line(session, project_id, each, end) for each in own]
        if len(found) == limit:
            break
    return found


def _line(session: Session, project_id: str, own: Sequence[Any], end: str | None) -> ModelLine:
    name, made_at, _, account, used_at = own
    provider = session.get_one(Credential, account).provider  # the accounts of a project are few, and kept
    return ModelLine(name, epoch(made_at), project_id, end, epoch(used_at) if used_at else None, [provider])


def _own(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return col(TunedModel.project_id) == project_id, col(TunedModel.deleted_at).is_(None)


def _own_models(session: Session, project_id: str, limit: int | None, *where: ColumnElement[bool]) -> Sequence[Any]:
    """Name, time, base, account and last use of each, newest first."""
    columns = [col(getattr(TunedModel, name)) for name in _COLUMNS]
    query = select(*columns).where(*_own(project_id), *where).order_by(col(TunedModel.id).desc())
    return session.exec(query.limit(limit)).all()
