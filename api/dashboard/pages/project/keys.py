"""A project's API keys: each is shown once, when it is made or rotated."""

from typing import Any

from starlette.responses import Response

from api.auth.deps import AdminDep, After
from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, check_not_rotated, overlap_of, shown_again
from api.dashboard.pages.project.shown import OF_PROJECT, ProjectRoute, admin_calls, project_page
from api.dashboard.sent_once import check_not_made
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.pages import Page
from shared.projects import keys
from shared.projects import service as projects
from shared.projects.key_schemas import ApiKeyCreate, ApiKeyPublic, ApiKeyUpdate, expiry_after
from shared.projects.scopes import PROJECT_SCOPES

router = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}/keys",
    include_in_schema=False,
    dependencies=[admin_scope("projects")],
    route_class=ProjectRoute,
)
PER_PAGE = 30
DAY = 86_400
LIFETIMES = [("", "never"), *((str(days * DAY), f"in {days} days") for days in (7, 30, 90, 365))]


@router.get("")
def list_api_keys(view: AdminViewDep, project_id: str, after: After = None, include_revoked: bool = False) -> Response:
    """List the keys."""
    projects.get_project(view.session, project_id)
    rows = keys.page_of_keys(view.session, project_id, after=after, limit=PER_PAGE, include_revoked=include_revoked)
    shown = Page.of(keys.show(view.session, rows), PER_PAGE)
    call = admin_calls(view, "GET", f"/projects/{project_id}/api_keys")
    return project_page(view, project_id, "project/keys.html", call, keys=shown)


@router.get("/new")
def new_api_key(view: AdminViewDep, project_id: str) -> Response:
    """Ask for a new key."""
    return _form_page(view, project_id, Form())


@router.post("")
def create_api_key(view: AdminViewDep, admin: AdminDep, project_id: str, form: FormDep) -> Response:
    """Make a key, and show it."""
    with shown_again(form, lambda form: _form_page(view, project_id, form)):
        new = ApiKeyCreate.model_validate({**limits_of(form), "name": form.text("name")})
        check_not_made(view.session, admin.key_id, form)
        key, secret = projects.create_api_key(
            view.session,
            project_id,
            new.name,
            expires_at=expiry_after(new.expires_in_seconds),
            scopes=new.scopes,
            allowed_networks=new.allowed_networks,
        )
    return _secret_page(view, project_id, keys.show(view.session, [key])[0], secret)


@router.get("/{key_id}")
def retrieve_api_key(view: AdminViewDep, project_id: str, key_id: str) -> Response:
    """Show a key, and what to do with it."""
    key = _key(view, project_id, key_id)
    return _key_page(view, project_id, key, Form.of(scopes=key.scopes, allowed_networks=" ".join(key.allowed_networks)))


@router.post("/{key_id}")
def update_api_key(view: AdminViewDep, project_id: str, key_id: str, form: FormDep) -> Response:
    """Change what a key may do, from where, and until when."""
    shown = _key(view, project_id, key_id)
    with shown_again(form, lambda form: _key_page(view, project_id, shown, form)):
        new = ApiKeyUpdate.model_validate(limits_of(form))
        keys.update_key(
            view.session,
            project_id,
            key_id,
            scopes=new.scopes,
            expires_at=expiry_after(new.expires_in_seconds),
            allowed_networks=new.allowed_networks,
        )
    return redirect(f"/projects/{project_id}/keys/{key_id}")


@router.post("/{key_id}/rotate_secret")
def rotate_api_key_secret(view: AdminViewDep, project_id: str, key_id: str, form: FormDep) -> Response:
    """Give a key a new secret, and show it."""
    key = keys.get_key(view.session, project_id, key_id, lock=True)
    check_not_rotated(form, key.hint)
    secret = keys.rotate_key(view.session, key, overlap_of(form).overlap)
    return _secret_page(view, project_id, keys.show(view.session, [key])[0], secret)


@router.post("/{key_id}/revoke")
def delete_api_key(view: AdminViewDep, project_id: str, key_id: str) -> Response:
    """Revoke a key."""
    keys.revoke(keys.get_key(view.session, project_id, key_id, lock=True))
    return redirect(f"/projects/{project_id}/keys")


def _key(view: AdminView, project_id: str, key_id: str) -> ApiKeyPublic:
    return keys.show(view.session, [keys.get_key(view.session, project_id, key_id)])[0]


def limits_of(form: Form) -> dict[str, Any]:
    """Return what was typed of how long a key lives, what it may do, and from where."""
    return {
        "expires_in_seconds": form.whole("expires_in_seconds"),
        "scopes": form.all("scopes"),
        "allowed_networks": form.lines("allowed_networks"),
    }


def _form_page(view: AdminView, project_id: str, form: Form) -> Response:
    call = admin_calls(view, "POST", f"/projects/{project_id}/api_keys", {"name": "ci", "scopes": ["jobs:read"]})
    more = {"form": form, "scopes": PROJECT_SCOPES, "lifetimes": LIFETIMES}
    return project_page(view, project_id, "project/new_key.html", call, **more)


def _key_page(view: AdminView, project_id: str, key: ApiKeyPublic, form: Form) -> Response:
    call = admin_calls(view, "GET", f"/projects/{project_id}/api_keys/{key.id}")
    lifetimes = [("", "as it is"), *LIFETIMES[1:]]
    more = {"form": form, "key": key, "scopes": PROJECT_SCOPES, "lifetimes": lifetimes}
    return project_page(view, project_id, "project/key.html", call, **more)


def _secret_page(view: AdminView, project_id: str, key: ApiKeyPublic, secret: str) -> Response:
    return project_page(view, project_id, "project/key_secret.html", {}, key=key, secret=secret)
