"""`/v1/organization/audit_logs`: who changed what, and which requests were refused."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from shared.audit import service as audit
from shared.audit.schemas import AuditLogPublic
from shared.audit.service import Filter
from shared.database import transaction
from shared.db.pages import Page
from shared.errors import Invalid

router = Router(
    prefix="/v1/organization/audit_logs",
    tags=["Administration"],
    dependencies=[admin_scope("audit_logs")],
)
JSON_LINES = "application/x-ndjson"
_AS_LINES: dict[int | str, dict[str, Any]] = {200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}}}
Time = Annotated[int | None, Query(ge=0, le=253_402_300_798)]
Names = list[Annotated[str, Query(max_length=128)]] | None


def _times(
    gt: Annotated[Time, Query(alias="effective_at[gt]", description="Unix seconds; later than this")] = None,
    gte: Annotated[Time, Query(alias="effective_at[gte]")] = None,
    lt: Annotated[Time, Query(alias="effective_at[lt]")] = None,
    lte: Annotated[Time, Query(alias="effective_at[lte]")] = None,
) -> tuple[int | None, int | None]:
    """Return the earliest time (included) and the latest time (excluded), in Unix seconds."""
    since = [*([gt + 1] if gt is not None else []), *([gte] if gte is not None else [])]
    until = [*([lte + 1] if lte is not None else []), *([lt] if lt is not None else [])]
    return max(since, default=None), min(until, default=None)


def _filter(
    times: Annotated[tuple[int | None, int | None], Depends(_times)],
    types: Annotated[Names, Query(alias="event_types[]")] = None,
    actors: Annotated[Names, Query(alias="actor_ids[]", description="Ids of API keys, or `operator`")] = None,
    emails: Annotated[Names, Query(alias="actor_emails[]", description="Not supported: Tunery has no users")] = None,
    projects: Annotated[Names, Query(alias="project_ids[]")] = None,
    resources: Annotated[Names, Query(alias="resource_ids[]")] = None,
    tenant_only: bool = False,
) -> Filter:
    if emails or tenant_only:
        param = "actor_emails" if emails else "tenant_only"
        raise Invalid(f"{param} is not supported: use actor_ids or project_ids", param=param)
    return Filter(*times, types, actors, projects, resources)


@router.get("", response_model=Page[AuditLogPublic], responses=_AS_LINES)
def list_audit_logs(
    request: Request,
    session: OrganizationSessionDep,
    wanted: Annotated[Filter, Depends(_filter)],
    after: After = None,
    before: Annotated[str | None, Query(max_length=64, description="The first id of the page after this one")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[AuditLogPublic] | Response:
    """List changes and refused requests, newest first.

    With `Accept: application/x-ndjson`, the response has all matching entries after `after` as JSON lines, oldest
    first; pass the last id as `after` next time to continue. Entries of the last ten seconds are left for the next
    export. `limit` applies to the list only.
    """
    if JSON_LINES in request.headers.get("accept", ""):
        return StreamingResponse(_lines(wanted, after or ""), media_type=JSON_LINES)
    return Page.of(audit.list_logs(session, wanted, after=after, before=before, limit=limit), limit)


def _lines(wanted: Filter, after: str) -> Iterator[str]:
    """Yield pages, each read in its own transaction: a client that reads slowly must not hold a connection."""
    while True:
        with transaction() as session:
            found = audit.export(session, wanted, after)
        yield "".join(each.model_dump_json() + "\n" for each in found)
        if len(found) < audit.EXPORT_BATCH_ROWS:
            return
        after = found[-1].id
