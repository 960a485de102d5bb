"""What a project has used and spent, by day and by model."""

import json
from datetime import datetime, timedelta
from decimal import Decimal

from fastapi import Query
from starlette.responses import Response

from api.auth.scopes import admin_scope
from api.dashboard import rendering
from api.dashboard.pages.project.cost_chart import bars
from api.dashboard.pages.project.shown import OF_PROJECT, admin_calls, project_page
from api.dashboard.view import AdminView, AdminViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.budgets import costs
from shared.budgets.costs import CostFilter, CostPage, GroupBy
from shared.budgets.daily import day_of
from shared.db.times import epoch, utc_now
from shared.jobs.spending import usage
from shared.projects import service as projects

router = Router(prefix=f"{DASHBOARD}{OF_PROJECT}/costs", include_in_schema=False, dependencies=[admin_scope("costs")])

BY_ITEM: tuple[GroupBy, ...] = ("line_item",)


@router.get("")
def list_costs(view: AdminViewDep, project_id: str, days: int = Query(30, ge=1, le=180)) -> Response:
    """Show the costs of the last days, and the usage in them."""
    now = utc_now()
    start, found = _costs(view, project_id, now, days)
    used = usage.of_project(view.session, project_id, start, now)
    path = f"/costs?start_time={epoch(start)}&group_by[]=line_item&project_ids[]={project_id}&limit={days}"
    return project_page(
        view,
        project_id,
        "project/costs.html",
        admin_calls(view, "GET", path),
        usage=used,
        days=days,
        buckets=[each for each in reversed(found.data) if each.results],
        by_item=sorted(_sums(found).items(), key=lambda each: -each[1]),
    )


@router.get("/chart")
def show_chart(view: AdminViewDep, project_id: str, days: int = Query(30, ge=1, le=180)) -> Response:
    """Return the options of the chart, for ECharts."""
    projects.get_project(view.session, project_id)
    _, found = _costs(view, project_id, utc_now(), days)
    return rendering.data(view.request, json.dumps(bars(found.data)))


def _costs(view: AdminView, project_id: str, now: datetime, days: int) -> tuple[datetime, CostPage]:
    """Return the first of the last days, and the costs since."""
    start = day_of(now) - timedelta(days=days - 1)
    return start, costs.page(view.session, CostFilter(BY_ITEM, (project_id,)), start, None, days)


def _sums(found: CostPage) -> dict[tuple[str, str], Decimal]:
    """Return the sums of all days by line item and currency."""
    sums: dict[tuple[str, str], Decimal] = {}
    for bucket in found.data:
        for each in bucket.results:
            name = (each.line_item or "", each.amount.currency)
            sums[name] = sums.get(name, Decimal()) + Decimal(each.amount.exact_value)
    return sums
