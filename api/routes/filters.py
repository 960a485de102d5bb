"""The query parameters by which lists are filtered, as conditions of the query."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Query
from sqlalchemy import ColumnElement, exists, text
from sqlmodel import and_, col, not_, or_
from starlette.requests import Request

from shared.db.owned import created_between
from shared.db.tables import Owned
from shared.db.times import from_epoch
from shared.errors import Invalid
from shared.jobs.models import HAS_NO_LABELS, Job, JobLabel, JobRequest, JobStatus

# FastAPI has no parameter for an object in the query; this is what OpenAI's own document says of it.
METADATA_PARAMETER = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "description": "`metadata[k]=v`, also several, for jobs with that metadata; `metadata=null` for those without",
    "schema": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 512}},
}
_METADATA = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_Time = Annotated[int | None, Query(ge=0, le=253_402_300_000)]
_Models = list[Annotated[str, Query(max_length=256)]] | None
Conditions = list[ColumnElement[bool]]
CreatedIn = Callable[[type[Owned]], Conditions]


async def created_in(
    gt: Annotated[_Time, Query(alias="created_at[gt]", description="Unix seconds; created later than this")] = None,
    gte: Annotated[_Time, Query(alias="created_at[gte]")] = None,
    lt: Annotated[_Time, Query(alias="created_at[lt]")] = None,
    lte: Annotated[_Time, Query(alias="created_at[lte]")] = None,
) -> CreatedIn:
    """Return the function that gives the conditions of a time range for a table."""
    return created_within(gt, gte, lt, lte)


def created_within(gt: int | None, gte: int | None, lt: int | None, lte: int | None) -> CreatedIn:
    """As `created_in`."""
    since = [each for each in (gte, gt + 1 if gt is not None else None) if each is not None]
    until = [each for each in (lt, lte + 1 if lte is not None else None) if each is not None]

    def conditions(model: type[Owned]) -> Conditions:
        where = [each for time in since for each in created_between(model, from_epoch(time), None)]
        return where + [each for time in until for each in created_between(model, None, from_epoch(time))]

    return conditions


CreatedInDep = Annotated[CreatedIn, Depends(created_in)]


async def job_filter(
    request: Request,
    created_in: CreatedInDep,
    status: Annotated[list[JobStatus] | None, Query(max_length=7, description="May be repeated")] = None,
    model: Annotated[_Models, Query(max_length=100, description="As `model` of the job; may be repeated")] = None,
) -> Conditions:
    """Return the conditions that all filters of a request make together. Raises `Invalid` for a wrong `metadata`."""
    return job_conditions(request.query_params, created_in, status, model)


def job_conditions(
    query: Mapping[str, str], created_in: CreatedIn, status: list[JobStatus] | None, model: list[str] | None
) -> Conditions:
    """As `job_filter`. `query` has `metadata` and `metadata[…]`, as they are in an address."""
    where = [*_by_metadata(query), *created_in(Job)]
    if status is not None:
        where.append(_shown_with(status))
    if model is not None:
        where.append(col(Job.model).in_(model))
    return where


def _shown_with(statuses: list[JobStatus]) -> ColumnElement[bool]:
    """As `shown_status` has it: a paused job whose resume was accepted is shown as queued."""
    is_resumed = and_(col(Job.status) == JobStatus.PAUSED, col(Job.request).is_not_distinct_from(JobRequest.RESUME))
    listed = and_(col(Job.status).in_(statuses), not_(is_resumed))
    return or_(listed, is_resumed) if JobStatus.QUEUED in statuses else listed


def _by_metadata(query: Mapping[str, str]) -> list[Any]:
    pairs = {match[1]: value for name, value in query.items() if (match := _METADATA.fullmatch(name))}
    plain = query.get("metadata")
    if plain not in {None, "null"} or (plain and pairs):
        raise Invalid("Use metadata[key]=value, or metadata=null for jobs without metadata", param="metadata")
    return [text(HAS_NO_LABELS)] if plain else [_has_label(*pair) for pair in pairs.items()]


def _has_label(key: str, value: str) -> ColumnElement[bool]:
    of_job = and_(col(JobLabel.project_id) == Job.project_id, col(JobLabel.job_id) == Job.id)
    return exists().where(of_job, col(JobLabel.key) == key, col(JobLabel.value) == value)
