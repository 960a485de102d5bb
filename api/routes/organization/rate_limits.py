"""`/v1/organization/projects/{project_id}/rate_limits`: limits of a project and of its API keys."""

from typing import Annotated

from fastapi import Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.errors import NotFound
from shared.projects import rate_limits
from shared.projects.rate_limits import RateLimitPublic, RateLimitUpdate

router = Router(
    prefix="/v1/organization/projects/{project_id}/rate_limits",
    tags=["Administration"],
    dependencies=[admin_scope("limits")],
    route_class=IdempotentAdminRoute,
)


@router.get("", response_model=Page[RateLimitPublic])
def list_project_rate_limits(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    before: Annotated[str | None, Query(max_length=64, description="The first id of the page after this one")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Page[RateLimitPublic]:
    """List the limits of the project (`rl-` and its id) and of each of its keys (`rl-` and the key's id)."""
    rows = rate_limits.list_rate_limits(session, project_id)
    ids = [row.id for row in rows]
    for name, id in (("after", after), ("before", before)):
        if id is not None and id not in ids:
            raise NotFound(f"No such rate limit: {id}", param=name)
    end = ids.index(before) if before else len(rows)
    start = ids.index(after) + 1 if after else max(0, end - limit) if before else 0
    return Page.of([RateLimitPublic.of(row) for row in rows[start : min(end, start + limit + 1)]], limit)


@router.post("/{rate_limit_id}", response_model=RateLimitPublic)
def update_project_rate_limit(
    session: OrganizationSessionDep, project_id: str, rate_limit_id: str, new: RateLimitUpdate
) -> RateLimitPublic:
    """Change the limits of a project or of one of its keys, within five seconds.

    `max_jobs_per_1_day` (in any 24 hours) and `max_open_jobs` (jobs that have not ended) apply to whole projects only.
    Null restores the default of the settings, 0 allows nothing. Errors: 400 for a limit that does not apply.
    """
    return RateLimitPublic.of(rate_limits.update_rate_limit(session, project_id, rate_limit_id, new))
