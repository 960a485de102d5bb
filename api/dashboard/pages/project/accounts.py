"""A project's own accounts at providers. Their keys are typed here, and never shown."""

from typing import Any

from starlette.responses import Response

from api.auth.deps import AdminDep, After
from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, shown_again
from api.dashboard.pages.project.shown import OF_PROJECT, ProjectRoute, admin_calls, project_page
from api.dashboard.sent_once import made_by_typed
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.routes.organization import credential_test
from shared.db.pages import Page
from shared.deployments import ends
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate, CredentialPublic, CredentialUpdate
from shared.providers.dialects import Dialect

router = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}/accounts",
    include_in_schema=False,
    dependencies=[admin_scope("credentials")],
    route_class=ProjectRoute,
)
PER_PAGE = 20
EXAMPLE = {"name": "ours", "base_url": "https://api.openai.com/v1", "api_key": "$PROVIDER_KEY"}
APPLICATION = {
    "tenant_id": "Tenant",
    "client_id": "Client id",
    "subscription_id": "Subscription",
    "resource_group": "Resource group",
    "account": "Resource",
}
TYPED = ("name", "base_url", "api_key", "provider", "dialect", "webhook_secret")


@router.get("")
def list_credentials(view: AdminViewDep, project_id: str, after: After = None) -> Response:
    """List the accounts with the providers' last answers to their keys."""
    projects.get_project(view.session, project_id)
    rows = credentials.list_all(view.session, project_id, after=after, limit=PER_PAGE)
    shown = Page.of([CredentialPublic.of(row) for row in rows], PER_PAGE)
    call = admin_calls(view, "GET", f"/projects/{project_id}/credentials")
    return project_page(view, project_id, "project/accounts.html", call, accounts=shown)


@router.get("/new")
def new_credential(view: AdminViewDep, project_id: str) -> Response:
    """Ask for an account."""
    return _form_page(view, project_id, Form.of(base_url=EXAMPLE["base_url"]))


@router.post("")
def create_credential(view: AdminViewDep, admin: AdminDep, project_id: str, form: FormDep) -> Response:
    """Add an account."""
    with shown_again(form, lambda form: _form_page(view, project_id, form)):
        typed: dict[str, Any] = {name: form.text(name) for name in TYPED if form.text(name)}
        typed |= {"options": _options(form), "deploy_on_success": form.has("deploy_on_success")}
        new = CredentialCreate.model_validate(typed)
        made = made_by_typed(view, admin.key_id, form, lambda: credentials.create(view.session, project_id, new).id)
    return redirect(f"/projects/{project_id}/accounts/{made}")


@router.get("/{credential_id}")
def retrieve_credential(view: AdminViewDep, project_id: str, credential_id: str) -> Response:
    """Show an account, and what to do with it."""
    account = CredentialPublic.of(credentials.get(view.session, project_id, credential_id))
    known = {**account.options, "deploy_on_success": account.deploy_on_success}
    return _account_page(view, account, Form.of(name=account.name, **known))


@router.post("/{credential_id}")
def update_credential(view: AdminViewDep, project_id: str, credential_id: str, form: FormDep) -> Response:
    """Change the name, or replace the key; a field that is left empty changes nothing."""
    shown = CredentialPublic.of(credentials.get(view.session, project_id, credential_id))
    with shown_again(form, lambda form: _account_page(view, shown, form)):
        typed: dict[str, Any] = {
            name: form.text(name) for name in ("name", "api_key", "webhook_secret") if form.text(name)
        }
        typed["deploy_on_success"] = form.has("deploy_on_success")
        if options := _options(form):
            typed["options"] = options
        ends.update_credential(view.session, project_id, credential_id, CredentialUpdate.model_validate(typed))
    return redirect(f"/projects/{project_id}/accounts/{credential_id}")


@router.post("/{credential_id}/test")
async def test_credential(project_id: str, credential_id: str) -> Response:
    """Ask the provider whether it accepts the key; the page of the account then has its answer."""
    await credential_test.test_and_wait(project_id, credential_id)
    return redirect(f"/projects/{project_id}/accounts/{credential_id}")


@router.post("/{credential_id}/delete")
def delete_credential(view: AdminViewDep, project_id: str, credential_id: str) -> Response:
    """Delete an account and its key."""
    ends.delete_credential(view.session, project_id, credential_id)
    return redirect(f"/projects/{project_id}/accounts")


def _options(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in APPLICATION if form.text(name)}


def _form_page(view: AdminView, project_id: str, form: Form) -> Response:
    call = admin_calls(view, "POST", f"/projects/{project_id}/credentials", EXAMPLE)
    dialects = [(each.value, each.value) for each in Dialect]
    return project_page(
        view, project_id, "project/new_account.html", call, form=form, dialects=dialects, application=APPLICATION
    )


def _account_page(view: AdminView, account: CredentialPublic, form: Form) -> Response:
    call = admin_calls(view, "POST", f"/projects/{account.project_id}/credentials/{account.id}/test")
    return project_page(
        view, account.project_id, "project/account.html", call, account=account, form=form, application=APPLICATION
    )
