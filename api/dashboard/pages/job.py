"""The page of one job: its progress, losses, messages and results, and what can be done with it."""

import json
from typing import Annotated

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.dashboard import charts, job_facts, rendering
from api.dashboard.forms import FormDep
from api.dashboard.live import parts
from api.dashboard.sent_once import made_by_form, new_form_id
from api.dashboard.view import View, ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.routes.jobs import retrieve_job_result
from api.streams.feed import poller
from api.streams.wire import EventStream, presented_by
from shared.database import transaction
from shared.jobs import metrics
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest
from shared.jobs.schemas import JobCreate

router = Router(prefix=f"{DASHBOARD}/jobs/{{job_id}}", include_in_schema=False, dependencies=[scope("jobs")])
_Log = Annotated[bool, Query()]
_Smoothing = Annotated[float, Query(ge=0, lt=1)]


@router.get("")
def show_job(view: ViewDep, job_id: str, log: _Log = False, smooth: _Smoothing = 0.0) -> Response:
    """Show a job."""
    found = job_facts.values(view.session, view.caller, job_id)
    return view.page(
        "jobs/job.html",
        **found,
        **job_facts.deliveries_of(view, job_id),
        is_whole=True,
        settings=job_facts.settings(found["job"]),
        snippets=job_facts.calls(view.request, job_id),
        smoothing=charts.SMOOTHING,
        log=log,
        smooth=smooth,
        form_id=new_form_id(),
    )


@router.get("/live")
async def stream_job(request: Request, caller: CallerDep, job_id: str) -> Response:
    """Stream the part of the page that moves, until the job has ended."""

    def draw() -> tuple[str, bool]:
        with transaction(caller.project_id) as session:
            found = job_facts.values(session, caller, job_id)
            return rendering.render(request, "jobs/_job.html", is_whole=False, **found), found["job"].status.is_final

    job = await run_in_threadpool(_read, caller.project_id, job_id)

    async def blocks() -> parts.Blocks:
        with poller.follow(job, presented_by(request)) as cursor:
            async for block in parts.drawn(request, caller, cursor, draw, news=parts.event("metrics")):
                yield block

    return EventStream(blocks(), caller)


def _read(project_id: str, job_id: str) -> Job:
    with transaction(project_id) as session:
        return job_facts.find(session, project_id, job_id)


@router.get("/result.csv")
def download_result(view: ViewDep, job_id: str) -> Response:
    """Return the metrics as CSV, as the API does."""
    return retrieve_job_result(view.session, view.caller, job_id)


@router.get("/curves")
def show_curves(view: ViewDep, job_id: str, log: _Log = False, smooth: _Smoothing = 0.0) -> Response:
    """Return the options of the chart of the job's metrics, for ECharts."""
    job = job_facts.find(view.session, view.caller.project_id, job_id)
    found = metrics.thinned(view.session, job.id, charts.POINTS)
    saved = jobs.list_checkpoints(view.session, job.project_id, job.id, after=None, limit=job_facts.CHECKPOINTS)
    options = charts.curves(found, [each.step_number for each in saved], is_log=log, smoothing=smooth)
    return rendering.data(view.request, json.dumps(options))


@router.get("/points")
def show_points(view: ViewDep, job_id: str) -> Response:
    """Return the numbers of the chart as rows of a table."""
    job = job_facts.find(view.session, view.caller.project_id, job_id)
    found = metrics.thinned(view.session, job.id, charts.POINTS)
    return view.part("jobs/_points.html", points=found.points, total=found.total_points)


@router.get("/deliveries")
def show_deliveries(view: ViewDep, job_id: str) -> Response:
    """Return the deliveries of the events about the job."""
    view.caller.check("webhooks:read")
    job = job_facts.find(view.session, view.caller.project_id, job_id)
    return view.part("jobs/_deliveries.html", job=job, is_part=True, **job_facts.deliveries_of(view, job_id))


@router.post("/cancel")
def cancel_job(view: ViewDep, job_id: str) -> Response:
    """Cancel the job."""
    return _request(view, job_id, JobRequest.CANCEL)


@router.post("/pause")
def pause_job(view: ViewDep, job_id: str) -> Response:
    """Pause the job."""
    return _request(view, job_id, JobRequest.PAUSE)


@router.post("/resume")
def resume_job(view: ViewDep, job_id: str) -> Response:
    """Let the job continue."""
    return _request(view, job_id, JobRequest.RESUME)


def _request(view: View, job_id: str, request: JobRequest) -> Response:
    jobs.make_request(view.session, view.caller.project_id, job_id, request)
    return redirect(f"/jobs/{job_id}")


@router.post("/again")
def create_job(view: ViewDep, job_id: str, form: FormDep) -> Response:
    """Create a job like this one."""
    new = JobCreate(from_job=job_id)
    made = made_by_form(
        *(view, view.caller.key_id, form.text("form_id"), None),
        lambda: jobs.create(view.session, view.caller, new).id,
    )
    return redirect(f"/jobs/{made}")
