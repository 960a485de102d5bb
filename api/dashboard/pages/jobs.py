"""The list of jobs, which moves by itself."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.dashboard import job_list, rendering
from api.dashboard.job_list import JobFilter, JobFilterDep
from api.dashboard.live import changes, parts
from api.dashboard.view import ViewDep
from api.http.pages import DASHBOARD
from api.streams.wire import EventStream, presented_by
from shared.database import transaction

router = APIRouter(prefix=f"{DASHBOARD}/jobs", include_in_schema=False, dependencies=[scope("jobs")])


@router.get("")
def list_jobs(view: ViewDep, wanted: JobFilterDep) -> Response:
    """Show the jobs, newest first."""
    return view.page(
        "jobs/list.html",
        page=job_list.shown(view.session, view.caller.project_id, wanted),
        wanted=wanted,
        snippets=job_list.calls(view.request, wanted),
        **job_list.choices(),
    )


@router.get("/live")
async def stream_jobs(request: Request, caller: CallerDep, wanted: JobFilterDep) -> Response:
    """Stream the rows of the list whenever a job of the project changes."""

    def draw() -> tuple[str, bool]:
        return _rows(request, caller.project_id, wanted), False

    async def blocks() -> parts.Blocks:
        with changes.poller.opened(caller.project_id, changes.ProjectJobs(), presented_by(request)) as cursor:
            async for block in parts.drawn(request, caller.project_id, cursor, draw):
                yield block

    return EventStream(blocks(), caller)


def _rows(request: Request, project_id: str, wanted: JobFilter) -> str:
    with transaction(project_id) as session:
        page = job_list.shown(session, project_id, wanted)
        return rendering.render(request, "jobs/_rows.html", page=page, wanted=wanted)
