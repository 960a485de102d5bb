"""The list of jobs, which moves by itself, and what is done with several of them."""

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.audit.refusals import note_one_of_several
from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.dashboard import job_list, rendering
from api.dashboard.forms import FormDep
from api.dashboard.job_list import JobFilter, JobFilterDep
from api.dashboard.live import changes, parts
from api.dashboard.view import View, ViewDep, redirect, show
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.rate_limits.further_requests import count_another
from api.streams.wire import EventStream, presented_by
from shared.database import transaction
from shared.errors import Invalid, RateLimited, ServiceError
from shared.jobs import service as jobs
from shared.jobs.models import JobRequest, JobStatus
from shared.projects.callers import Caller

router = Router(prefix=f"{DASHBOARD}/jobs", include_in_schema=False, dependencies=[scope("jobs")])


@router.get("")
def list_jobs(view: ViewDep, wanted: JobFilterDep) -> Response:
    """Show the jobs, newest first."""
    page = job_list.shown(view.session, view.caller, wanted)
    here = {row.id for row in page.data}
    return view.page(
        "jobs/list.html",
        page=page,
        wanted=wanted,
        elsewhere=[id for id in wanted.selected if id not in here],
        may_write=view.caller.may("jobs:write"),
        snippets=job_list.calls(view.request, wanted),
        **job_list.choices(),
    )


@router.get("/live")
async def stream_jobs(request: Request, caller: CallerDep, wanted: JobFilterDep) -> Response:
    """Stream the rows of the list whenever a job of the project changes."""

    def draw() -> tuple[str, bool]:
        return _rows(request, caller, wanted), False

    async def blocks() -> parts.Blocks:
        with changes.poller.opened(caller.project_id, changes.ProjectJobs(), presented_by(request)) as cursor:
            async for block in parts.drawn(request, caller, cursor, draw):
                yield block

    return EventStream(blocks(), caller)


@router.get("/cancel")
def return_to_jobs() -> Response:
    """Lead on to the list: here only a form is sent, and its address may be opened again."""
    return redirect("/jobs")


@dataclass(frozen=True)
class Outcome:
    """What became of the cancel of one job; `refusal`: why it was not accepted."""

    job_id: str
    name: str
    refusal: str = ""
    is_over: bool = False


@router.post("/cancel")
async def cancel_jobs(request: Request, caller: CallerDep, form: FormDep) -> Response:
    """Cancel the selected jobs, each as the API's route does: one that is refused does not hold up the others."""
    ids = list(dict.fromkeys(form.all("job")))
    if not 1 <= len(ids) <= job_list.JOBS_PER_PAGE:
        raise Invalid(f"Select 1 to {job_list.JOBS_PER_PAGE} jobs", param="job")
    outcomes = []
    for number, id in enumerate(ids):
        try:
            if number:
                await count_another(request)
            outcomes.append(await run_in_threadpool(_cancel, caller, id))
        except RateLimited as error:
            outcomes.append(Outcome(id, id, error.message))
        except ServiceError as error:
            await run_in_threadpool(_note_refusal, caller, id, error)
            outcomes.append(Outcome(id, id, error.message))
    return await run_in_threadpool(show, request, caller, lambda view: _outcomes(view, outcomes))


def _cancel(caller: Caller, job_id: str) -> Outcome:
    with transaction(caller.project_id) as session:
        job = jobs.make_request(session, caller.project_id, job_id, JobRequest.CANCEL)
        return Outcome(job.id, job.suffix or job.id, is_over=job.status is JobStatus.CANCELLED)


def _note_refusal(caller: Caller, job_id: str, error: ServiceError) -> None:
    with transaction(caller.project_id) as session:
        note_one_of_several(session, job_id, error)


def _outcomes(view: View, outcomes: list[Outcome]) -> Response:
    over = sum(each.is_over for each in outcomes)
    requested = sum(not each.refusal and not each.is_over for each in outcomes)
    return view.page("jobs/cancelled.html", outcomes=outcomes, over=over, requested=requested)


def _rows(request: Request, caller: Caller, wanted: JobFilter) -> str:
    with transaction(caller.project_id) as session:
        page = job_list.shown(session, caller, wanted)
        return rendering.render(request, "jobs/_rows.html", page=page, wanted=wanted)
