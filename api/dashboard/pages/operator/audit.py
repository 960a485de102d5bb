"""For operators: who changed what, and which requests were refused, in all projects."""

import json

from fastapi import Query
from starlette.responses import Response

from api.audit.middleware import CHANGES
from api.auth.deps import After
from api.auth.scopes import admin_scope
from api.dashboard.forms import seconds
from api.dashboard.pages.project.shown import admin_calls
from api.dashboard.view import AdminViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.audit import service as audit
from shared.audit.models import FAILED_LOGIN, REFUSED
from shared.audit.service import Filter
from shared.db.pages import Page

router = Router(prefix=f"{DASHBOARD}/audit", include_in_schema=False, dependencies=[admin_scope("audit_logs")])
PER_PAGE = 50
TYPES = sorted({REFUSED, FAILED_LOGIN, *(each for types in CHANGES.values() for each in types.values())})


@router.get("")
def list_audit_logs(
    view: AdminViewDep,
    type: str = Query("", max_length=128),
    actor: str = Query("", max_length=128),
    project: str = Query("", max_length=128),
    resource: str = Query("", max_length=128),
    since: str = "",
    until: str = "",
    after: After = None,
) -> Response:
    """List the entries, newest first."""
    wanted = Filter(
        seconds(since, "since"),
        seconds(until, "until"),
        *([each.strip()] if each.strip() else None for each in (type, actor, project, resource)),
    )
    rows = audit.list_logs(view.session, wanted, after=after, limit=PER_PAGE)
    shown = Page.of(rows, PER_PAGE)
    details = {each.id: json.dumps(getattr(each, each.type, {}), ensure_ascii=False) for each in shown.data}
    call = admin_calls(view, "GET", "/audit_logs")
    return view.page("operator/audit.html", logs=shown, details=details, types=TYPES, snippets=call)
