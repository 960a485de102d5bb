"""`/v1/fine_tuning/jobs`: the work."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from api.deps import After, CallerDep, SessionDep
from shared.errors import Invalid
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest
from shared.jobs.schemas import CheckpointPublic, JobCreate, JobEventPublic, JobPublic
from shared.pages import Page
from shared.tables import get_owned

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["Fine-tuning"])


@router.post("", response_model=JobPublic)
def create_job(session: SessionDep, caller: CallerDep, new: JobCreate) -> JobPublic:
    """Accept a job. It goes to the provider as soon as its files are checked; `status` and events tell how it is."""
    return JobPublic.of(jobs.create(session, caller, new))


_METADATA = re.compile(r"metadata\[(.*)\]", re.DOTALL)


def _metadata(request: Request) -> dict[str, str] | Literal["null"] | None:
    """`metadata[k]=v` for each pair that a job must carry; `metadata=null` for jobs that carry none."""
    pairs = {match[1]: value for name, value in request.query_params.items() if (match := _METADATA.fullmatch(name))}
    plain = request.query_params.get("metadata")
    if plain not in {None, "null"} or (plain and pairs):
        raise Invalid("Use metadata[key]=value, or metadata=null for jobs without any", param="metadata")
    return "null" if plain else pairs or None


@router.get("", response_model=Page[JobPublic])
def list_jobs(
    request: Request,
    session: SessionDep,
    caller: CallerDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[JobPublic]:
    """The project's jobs, newest first.

    `metadata[k]=v` keeps those that carry the pair, `metadata=null` those that carry none.
    """
    rows = jobs.list_jobs(session, caller.project_id, after=after, limit=limit, metadata=_metadata(request))
    return Page.of([JobPublic.of(row) for row in rows], limit)


@router.get("/{fine_tuning_job_id}", response_model=JobPublic)
def retrieve_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """A job as it is now."""
    return JobPublic.of(get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id"))


@router.post("/{fine_tuning_job_id}/cancel", response_model=JobPublic)
def cancel_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Cancel a job that has not ended. If the provider has it already, it is `cancelled` once the provider says so."""
    return JobPublic.of(jobs.ask(session, caller.project_id, fine_tuning_job_id, JobRequest.CANCEL))


@router.post("/{fine_tuning_job_id}/pause", response_model=JobPublic)
def pause_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Ask for a pause; the job is `paused` once the provider says so."""
    return JobPublic.of(jobs.ask(session, caller.project_id, fine_tuning_job_id, JobRequest.PAUSE))


@router.post("/{fine_tuning_job_id}/resume", response_model=JobPublic)
def resume_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Ask for a paused job to go on."""
    return JobPublic.of(jobs.ask(session, caller.project_id, fine_tuning_job_id, JobRequest.RESUME))


@router.get("/{fine_tuning_job_id}/events", response_model=Page[JobEventPublic])
def list_job_events(
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> Page[JobEventPublic]:
    """What happened, newest first; events of type `metrics` have the losses in `data`."""
    rows = jobs.list_events(session, caller.project_id, fine_tuning_job_id, after=after, limit=limit)
    return Page.of([JobEventPublic.of(row) for row in rows], limit)


@router.get("/{fine_tuning_job_id}/checkpoints", response_model=Page[CheckpointPublic])
def list_job_checkpoints(
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Page[CheckpointPublic]:
    """Models saved on the way, the newest step first."""
    rows = jobs.list_checkpoints(session, caller.project_id, fine_tuning_job_id, after=after, limit=limit)
    return Page.of([CheckpointPublic.of(row) for row in rows], limit)
