"""What the list of jobs shows: the jobs of a page that its filters let through, with their files, keys and losses."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from sqlmodel import Session, col, func, select
from starlette.requests import Request

from api.dashboard import snippets
from api.dashboard.compare.selection import MOST_JOBS
from api.dashboard.forms import chosen
from api.routes.filters import Conditions, created_within, job_conditions
from shared.datasets.models import Dataset
from shared.db.owned import list_owned
from shared.db.pages import Listed, Page
from shared.db.times import epoch, utc_now
from shared.errors import Invalid
from shared.jobs.models import Job, JobStatus
from shared.jobs.schemas import JobPublic
from shared.projects.callers import Caller
from shared.projects.models import ApiKey

JOBS_PER_PAGE = 25
ADMIN_KEY = "an admin key"
LAST = "\U0010ffff"  # of all characters
PERIODS = {"1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
MOST_SELECTED = 100
_Selected = Annotated[list[Annotated[str, Query(max_length=64)]], Query(max_length=MOST_SELECTED)]


@dataclass(frozen=True)
class JobFilter:
    """The filters of a list, as they are in its address. Empty fields of the form are no filters."""

    status: str
    model: str
    suffix: str
    metadata: str
    since: str
    after: str | None
    selected: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not any((self.status, self.model, self.suffix, self.metadata, self.since))


def job_filter(
    status: Annotated[str, Query(max_length=32)] = "",
    model: Annotated[str, Query(max_length=256)] = "",
    suffix: Annotated[str, Query(max_length=64)] = "",
    metadata: Annotated[str, Query(max_length=600)] = "",
    since: Annotated[str, Query(max_length=8)] = "",
    after: Annotated[str | None, Query(max_length=64)] = None,
    job: _Selected = [],  # noqa: B006
) -> JobFilter:
    """Return the filters of the address, and which jobs are checked.

    `metadata` is `key=value`, `since` one of `PERIODS`. Raises `Invalid`.
    """
    chosen(JobStatus, status, "status")
    name, _, value = metadata.strip().partition("=")
    if metadata.strip() and not (name and value):
        raise Invalid("metadata must be key=value, such as team=support", param="metadata")
    if since and since not in PERIODS:
        raise Invalid(f"since must be one of: {', '.join(PERIODS)}", param="since")
    return JobFilter(
        status, model.strip(), suffix.strip(), metadata.strip(), since, after or None, tuple(dict.fromkeys(job))
    )


JobFilterDep = Annotated[JobFilter, Depends(job_filter)]


def parameters(wanted: JobFilter) -> dict[str, str]:
    """Return the parameters of `GET /v1/fine_tuning/jobs` for the filters that the API has too."""
    key, _, value = wanted.metadata.partition("=")
    since = str(epoch(utc_now()) - PERIODS[wanted.since]) if wanted.since in PERIODS else ""
    known = {"status": wanted.status, "model": wanted.model, f"metadata[{key}]": value, "created_at[gte]": since}
    return {name: text for name, text in known.items() if text}


def conditions(wanted: JobFilter) -> Conditions:
    """Return the conditions of the filters; those of the API are made by the API's own function."""
    query = parameters(wanted)
    since = int(query["created_at[gte]"]) if "created_at[gte]" in query else None
    status = [JobStatus(wanted.status)] if wanted.status else None
    models = [wanted.model] if wanted.model else None
    where = job_conditions(query, created_within(None, since, None, None), status, models)
    return [*where, *_begins_with(wanted.suffix)] if wanted.suffix else where


def _begins_with(prefix: str) -> Conditions:
    """As bytes, for which there is an index: under row-level security none is used for LIKE."""
    suffix = col(Job.suffix)
    return [suffix.op("~>=~", is_comparison=True)(prefix), suffix.op("~<~", is_comparison=True)(prefix + LAST)]


class Row(Listed):
    """A job with what belongs to it: its file by `file_name`, else by `file_id`, else deleted. `key`: None if unknown.

    A key that may not read files or keys is shown their ids, as by the API.
    """

    job: JobPublic
    curve: list[tuple[int, float]]
    file_name: str | None
    file_id: str | None
    key: str | None


def shown(session: Session, caller: Caller, wanted: JobFilter) -> Page[Row]:
    """Return a page of the list, by as many queries for one job as for many."""
    project_id, may_read_files = caller.project_id, caller.may("files:read")
    found = list_owned(session, Job, project_id, *conditions(wanted), after=wanted.after, limit=JOBS_PER_PAGE)
    files = _file_names(session, project_id, found) if may_read_files else {}
    keys = _keys(session, caller, found)
    rows = [
        Row.model_construct(
            id=job.id,
            job=JobPublic.of(job),
            curve=job.loss_summary.get("train_loss", []),
            file_name=files.get(job.training_file),
            file_id=None if may_read_files else job.training_file,
            key=keys.get(job.api_key_id, ADMIN_KEY) if job.api_key_id else None,
        )
        for job in found
    ]
    return Page.of(rows, JOBS_PER_PAGE)


def _file_names(session: Session, project_id: str, found: list[Job]) -> dict[str, str]:
    query = select(Dataset.id, func.coalesce(Dataset.name, Dataset.filename))
    is_there = Dataset.project_id == project_id, col(Dataset.deleted_at).is_(None)
    rows = session.exec(query.where(col(Dataset.id).in_({job.training_file for job in found}), *is_there))
    return dict(rows.all())


def _keys(session: Session, caller: Caller, found: list[Job]) -> dict[str, str]:
    """Return the names of the project's keys by their ids. They are read with the scope of their routes."""
    ids = {job.api_key_id for job in found if job.api_key_id is not None}
    if not caller.may("admin:projects:read"):
        return {id: id for id in ids}
    query = select(ApiKey.id, ApiKey.name).where(ApiKey.project_id == caller.project_id, col(ApiKey.id).in_(ids))
    return dict(session.exec(query).all())


def calls(request: Request, wanted: JobFilter) -> dict[str, str]:
    """Return the same list as calls of the API."""
    query = parameters(wanted)
    path = "/fine_tuning/jobs" + (f"?{snippets.query_string(query)}" if query else "")
    extra = f"extra_query={query!r}" if query else ""
    python = f"for job in client.fine_tuning.jobs.list({extra}):\n    print(job.id, job.status)"
    return snippets.calls(request, "GET", path, python)


def choices() -> dict[str, Any]:
    return {
        "most_compared": MOST_JOBS,
        "page_size": JOBS_PER_PAGE,
        "statuses": list(JobStatus),
        "periods": {"1h": "hour", "24h": "day", "7d": "week", "30d": "30 days"},
    }
