"""What the pages share by which an operator administers one project."""

from typing import Any

from starlette.responses import Response

from api.dashboard.snippets import ADMIN_KEY, calls
from api.dashboard.view import AdminView
from shared.projects import service as projects
from shared.projects.schemas import ProjectPublic

OF_PROJECT = "/projects/{project_id}"


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
    found = calls(view.request, method, path, f"print({python})", body=body, key=ADMIN_KEY)
    return found | {"Python": found["Python"].replace("OPENAI_API_KEY", "OPENAI_API_KEY: an admin key")}
