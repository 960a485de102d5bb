"""What the list of jobs shows: the jobs of a page that its filters let through."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from sqlmodel import Session, col
from starlette.requests import Request

from api.dashboard import snippets
from api.dashboard.forms import chosen
from api.routes.filters import Conditions, created_in, job_conditions
from shared.db.owned import list_owned
from shared.db.pages import Page
from shared.db.times import epoch, utc_now
from shared.errors import Invalid
from shared.jobs.models import Job, JobStatus
from shared.jobs.schemas import JobPublic

JOBS_PER_PAGE = 25
PERIODS = {"1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}


@dataclass(frozen=True)
class JobFilter:
    """The filters of a list, as they are in its address. Empty fields of the form are no filters."""

    status: str
    model: str
    suffix: str
    metadata: str
    since: str
    after: str | None

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
) -> JobFilter:
    """Return the filters of the address. `metadata` is `key=value`, `since` one of `PERIODS`. Raises `Invalid`."""
    chosen(JobStatus, status, "status")
    name, _, value = metadata.strip().partition("=")
    if metadata.strip() and not (name and value):
        raise Invalid("metadata must be key=value, such as team=support", param="metadata")
    if since and since not in PERIODS:
        raise Invalid(f"since must be one of: {', '.join(PERIODS)}", param="since")
    return JobFilter(status, model.strip(), suffix.strip(), metadata.strip(), since, after or None)


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
    where = job_conditions(query, created_in(None, since, None, None), status, models)
    return [*where, col(Job.suffix).startswith(wanted.suffix, autoescape=True)] if wanted.suffix else where


def shown(session: Session, project_id: str, wanted: JobFilter) -> Page[JobPublic]:
    rows = list_owned(session, Job, project_id, *conditions(wanted), after=wanted.after, limit=JOBS_PER_PAGE)
    return Page.of([JobPublic.of(row) for row in rows], JOBS_PER_PAGE)


def calls(request: Request, wanted: JobFilter) -> dict[str, str]:
    """Return the same list as calls of the API."""
    query = parameters(wanted)
    path = "/fine_tuning/jobs" + (f"?{snippets.query_string(query)}" if query else "")
    extra = f"extra_query={query!r}" if query else ""
    python = f"for job in client.fine_tuning.jobs.list({extra}):\n    print(job.id, job.status)"
    return snippets.calls(request, "GET", path, python)


def choices() -> dict[str, Any]:
    return {"statuses": list(JobStatus), "periods": {"1h": "hour", "24h": "day", "7d": "week", "30d": "30 days"}}
