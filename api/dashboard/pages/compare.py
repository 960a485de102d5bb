"""Jobs beside each other: their curves, and a table of what differs. The choice of jobs is in the address."""

import json
from collections.abc import Iterable
from typing import Any

from fastapi.responses import StreamingResponse
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.dashboard import charts, rendering, snippets
from api.dashboard.compare import downloads, overlay, selection, table
from api.dashboard.compare.selection import KINDS, MOST_JOBS, Selection, Wanted, WantedDep
from api.dashboard.live import parts, together
from api.dashboard.view import ViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.streams.wire import EventStream, presented_by
from shared.database import transaction
from shared.jobs.models import Job
from shared.overview import side_by_side
from shared.overview.side_by_side import Losses

router = Router(prefix=f"{DASHBOARD}/jobs/compare", include_in_schema=False, dependencies=[scope("jobs")])


@router.get("")
def compare_jobs(view: ViewDep, wanted: WantedDep) -> Response:
    """Show jobs beside each other."""
    chosen = selection.select(view.session, view.caller.project_id, wanted.ids)
    return view.page(
        "compare/page.html",
        status=chosen.status,
        problem=chosen.problem,
        is_whole=True,
        offered=selection.offered(view.session, view.caller.project_id, chosen),
        most=MOST_JOBS,
        kinds=KINDS,
        smoothing=charts.SMOOTHING,
        snippets=_calls(view.request, chosen) if chosen.columns else None,
        **_values(view.session, chosen, wanted, {}),
    )


Known = dict[str, dict[str, Losses]]


def _values(session: Session, chosen: Selection, wanted: Wanted, ended: Known) -> dict[str, Any]:
    """Return what the part of the page that moves needs. `ended` keeps the losses of jobs whose losses are the last."""
    ids = chosen.ids
    moving = [id for id in ids if id not in ended]
    losses = ended | (side_by_side.losses(session, moving, wanted.step) if moving else {})
    ended.update({each.job.id: losses[each.job.id] for each in chosen.columns if each.job.status.is_final})
    return {
        "columns": chosen.columns,
        "is_final": chosen.is_final,
        "wanted": wanted,
        "address": wanted.address(ids),
        "without": {id: wanted.address([each for each in ids if each != id]) for id in ids},
        "results": table.results(chosen.columns, losses, wanted.step),
        "has_metrics": {id for id, known in losses.items() if known},
        "differences": table.differences([each.job for each in chosen.columns]),
    }


def _calls(request: Request, chosen: Selection) -> dict[str, str]:
    """Return the same as calls of the API: the jobs, and their metrics."""
    ids = chosen.ids
    several = "{" + ",".join(ids) + "}" if len(ids) > 1 else ids[0]
    python = (
        f"for id in {ids!r}:\n"
        "    job = client.fine_tuning.jobs.retrieve(id)\n"
        '    points = client.get(f"/fine_tuning/jobs/{id}/metrics", cast_to=dict)["points"]\n'
        '    losses = [(each["valid_loss"], each["step"]) for each in points if each["valid_loss"] is not None]\n'
        "    print(job.id, job.status, job.hyperparameters, min(losses, default=None))"
    )
    return snippets.calls(request, "GET", f"/fine_tuning/jobs/{several}/metrics", python)


@router.get("/live")
async def stream_comparison(request: Request, caller: CallerDep, wanted: WantedDep) -> Response:
    """Stream the part of the page that moves, until the last of the jobs has ended."""

    ended: Known = {}  # for as long as this stream

    def draw() -> tuple[str, bool]:
        with transaction(caller.project_id) as session:
            chosen = selection.select_all(session, caller.project_id, wanted.ids)
            values = _values(session, chosen, wanted, ended)
            return rendering.render(request, "compare/_live.html", is_whole=False, **values), chosen.is_final

    def read() -> list[Job]:
        with transaction(caller.project_id) as session:
            ids = selection.select_all(session, caller.project_id, wanted.ids).ids
            return list(session.exec(select(Job).where(Job.project_id == caller.project_id, col(Job.id).in_(ids))))

    jobs = [each for each in await run_in_threadpool(read) if not each.status.is_final]

    async def blocks() -> parts.Blocks:
        with together.follow(jobs, presented_by(request)) as cursors:
            async for block in parts.drawn(request, caller, cursors, draw, news=parts.event("metrics")):
                yield block

    return EventStream(blocks(), caller)


@router.get("/curves")
def show_curves(view: ViewDep, wanted: WantedDep) -> Response:
    """Return the options of the chart, for ECharts."""
    chosen = selection.select_all(view.session, view.caller.project_id, wanted.ids)
    points = side_by_side.points(view.session, chosen.ids, overlay.POINTS)
    return rendering.data(view.request, json.dumps(overlay.options(chosen.columns, points, wanted)))


@router.get("/table.csv")
def download_table(view: ViewDep, wanted: WantedDep) -> Response:
    """Return a row for each job."""
    chosen = selection.select_all(view.session, view.caller.project_id, wanted.ids)
    return _csv([downloads.table(view.session, chosen.columns, wanted.step)], "comparison.csv")


@router.get("/curves.csv")
def download_curves(view: ViewDep, wanted: WantedDep) -> Response:
    """Return all steps of the jobs, with a row for each."""
    ids = selection.select_all(view.session, view.caller.project_id, wanted.ids).ids
    return _csv(downloads.curves(view.caller.project_id, ids), "curves.csv")


def _csv(lines: Iterable[str], name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)
