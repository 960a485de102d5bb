"""Deployments: what runs by the hour, and what it costs; a model is deployed, and a deployment is stopped."""

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from api.auth.deps import After
from api.auth.scopes import scope
from api.dashboard.forms import Form, FormDep, chosen, shown_again
from api.dashboard.sent_once import made_by_typed
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.owned import get_owned, list_owned
from shared.db.pages import Page
from shared.deployments import service as deployments
from shared.deployments.deployable import find_deployable, needs_deployment
from shared.deployments.models import Deployment, DeploymentStatus
from shared.deployments.prices import price_per_hour
from shared.deployments.schemas import DeploymentCreate, DeploymentPublic

router = Router(prefix=f"{DASHBOARD}/deployments", include_in_schema=False, dependencies=[scope("deployments")])
SHOWN = 25
Text = Annotated[str, Query(max_length=256)]


@router.get("")
def list_deployments(view: ViewDep, status: str = "", model: Text = "", after: After = None) -> Response:
    """Show the deployments, newest first; the rows alone where htmx asks for them."""
    wanted = chosen(DeploymentStatus, status, "status")
    where = [Deployment.status == wanted] if wanted else []
    where += [Deployment.model == model] if model else []
    rows = list_owned(view.session, Deployment, view.caller.project_id, *where, after=after or None, limit=SHOWN)
    shown = Page.of([DeploymentPublic.of(row) for row in rows], SHOWN)
    values: dict[str, Any] = {"shown": shown, "wanted": wanted, "model": model}
    if view.is_part:
        return view.part("deployments/_rows.html", **values)
    python = 'print(client.get("/deployments", cast_to=dict))'
    snippets = calls(view.request, "GET", "/deployments", python)
    return view.page("deployments/list.html", **values, statuses=list(DeploymentStatus), snippets=snippets)


@router.get("/new")
def new_deployment(view: ViewDep, model: Text) -> Response:
    """Ask whether a model is to be deployed, and say what that costs."""
    return _form_page(view, Form.of(model=model))


@router.post("")
def create_deployment(view: ViewDep, form: FormDep) -> Response:
    """Deploy a model; a form that is sent twice leads to the same deployment."""
    with shown_again(form, lambda form: _form_page(view, form)):
        new = DeploymentCreate.model_validate({"model": form.text("model"), "idle_timeout": form.whole("idle_timeout")})
        made = made_by_typed(
            view, view.caller.key_id, form, lambda: deployments.create(view.session, view.caller, new).id
        )
    return redirect(f"/deployments/{made}")


@router.get("/{deployment_id}")
def retrieve_deployment(view: ViewDep, deployment_id: str) -> Response:
    """Show a deployment; what moves alone where htmx asks for it."""
    row = get_owned(view.session, Deployment, deployment_id, view.caller.project_id, param="deployment_id")
    public = DeploymentPublic.of(row)
    if view.is_part:
        return view.part("deployments/_state.html", deployment=public)
    address = f"/deployments/{row.id}"
    snippets = calls(view.request, "GET", address, f'print(client.get("{address}", cast_to=dict))')
    stopping = calls(view.request, "DELETE", address, f'print(client.delete("{address}", cast_to=dict))')
    may_stop = view.caller.may("deployments:write")
    return view.page(
        "deployments/page.html", deployment=public, may_stop=may_stop, snippets=snippets, stopping=stopping
    )


@router.post("/{deployment_id}/stop")
def delete_deployment(view: ViewDep, deployment_id: str) -> Response:
    """Stop a deployment."""
    deployments.delete(view.session, view.caller.project_id, deployment_id)
    return redirect(f"/deployments/{deployment_id}")


def _form_page(view: View, form: Form) -> Response:
    model = form.text("model")
    found = find_deployable(view.session, view.caller.project_id, model)
    body = {"model": model, "idle_timeout": 3600}
    python = f'print(client.post("/deployments", body={body!r}, cast_to=dict))'
    return view.page(
        "deployments/new.html",
        status=400 if form.errors else 200,
        form=form,
        model=model,
        provider=found.credential.provider,
        is_needed=needs_deployment(found.credential),
        price=price_per_hour(found.credential, {}),
        snippets=calls(view.request, "POST", "/deployments", python, body=body),
    )
