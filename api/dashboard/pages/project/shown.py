"""What the pages share by which an operator administers one project."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi.routing import APIRoute
from starlette.responses import Response

from api.dashboard.snippets import ADMIN_KEY, calls
from api.dashboard.view import AdminView
from shared.projects import service as projects
from shared.projects.schemas import ProjectPublic

OF_PROJECT = "/projects/{project_id}"


# The API deletes these objects with DELETE, which an archived project permits.
PERMITTED_WHEN_ARCHIVED = {
    "delete_api_key",
    "delete_credential",
    "delete_spend_alert",
    "delete_spend_limit",
    "delete_approval_limit",
    "delete_email_notifications",
}


class ProjectRoute(APIRoute):
    """A page of one project, for operators. Its POST refuses to change an archived project, as the API's does.

    An `async` endpoint checks that itself, in its transaction.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_change = "POST" in options["methods"] and endpoint.__name__ not in PERMITTED_WHEN_ARCHIVED
        if is_change and not iscoroutinefunction(endpoint):
            endpoint = _for_active_project(endpoint)
        super().__init__(path, endpoint, **options)


def _for_active_project(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(endpoint)
    def check_and_call(**values: Any) -> Any:
        projects.get_active_project(values["view"].session, values["project_id"])
        return endpoint(**values)

    return check_and_call


def project_page(view: AdminView, project_id: str, template: str, call: dict[str, str], **values: Any) -> Response:
    """Show a page of this project, which need not be the chosen one. Raises `NotFound`."""
    of = ProjectPublic.of(projects.get_project(view.session, project_id))
    status = 400 if values.get("form") is not None and values["form"].errors else 200
    return view.page(template, status=status, of=of, snippets=call, **values)


def admin_calls(view: AdminView, method: str, path: str, body: Any = None) -> dict[str, str]:
    """Return a call of the administration's API, whose path begins after `/v1/organization`."""
    path = f"/organization{path}"
    verb = method.lower()
    python = f'client.{verb}("{path}", cast_to=dict' + (f", body={body})" if body is not None else ")")
    return calls(view.request, method, path, f"print({python})", body=body, key=ADMIN_KEY)
