"""What a project may use and what it has used, for its own keys."""

from starlette.responses import Response

from api.auth.scopes import scope
from api.dashboard.snippets import calls
from api.dashboard.view import ViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.overview import own_project

router = Router(prefix=f"{DASHBOARD}/project", include_in_schema=False, dependencies=[scope("jobs")])


@router.get("")
def retrieve_own_project(view: ViewDep) -> Response:
    """Show limits, spend, usage and queue, as `GET /v1/project` has them."""
    return view.page(
        "project/own.html",
        overview=own_project.show(view.session, view.caller),
        snippets=calls(view.request, "GET", "/project", 'print(client.get("/project", cast_to=dict))'),
    )
