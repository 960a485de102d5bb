"""For operators: the keys that administer the deployment. A secret is shown once."""

from starlette.responses import Response

from api.auth.deps import AdminDep, After
from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, check_not_rotated, overlap_of, shown_again
from api.dashboard.pages.project.keys import LIFETIMES, limits_of
from api.dashboard.pages.project.shown import admin_calls
from api.dashboard.sent_once import check_not_made
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.pages import Page
from shared.projects import keys
from shared.projects import service as projects
from shared.projects.key_schemas import AdminKeyCreate, AdminKeyPublic, AdminKeyUpdate, expiry_after
from shared.projects.scopes import ADMIN_SCOPES

router = Router(
    prefix=f"{DASHBOARD}/operator/admin-keys", include_in_schema=False, dependencies=[admin_scope("admin_api_keys")]
)
PER_PAGE = 30


@router.get("")
def list_admin_api_keys(view: AdminViewDep, after: After = None) -> Response:
    """List the admin keys, newest first, and ask for a new one."""
    return _list_page(view, Form(), after)


@router.post("")
def create_admin_api_key(view: AdminViewDep, admin: AdminDep, form: FormDep) -> Response:
    """Make an admin key, and show it."""
    with shown_again(form, lambda form: _list_page(view, form, None)):
        new = AdminKeyCreate.model_validate({**limits_of(form), "name": form.text("name")})
        keys.check_may_grant(admin, new.scopes)
        check_not_made(view.session, admin.key_id, form)
        key, secret = projects.create_api_key(
            view.session,
            None,
            new.name,
            expires_at=expiry_after(new.expires_in_seconds),
            scopes=new.scopes,
            allowed_networks=new.allowed_networks,
        )
    return view.page("operator/admin_key_secret.html", key=AdminKeyPublic.of(key), secret=secret)


@router.get("/{key_id}")
def retrieve_admin_api_key(view: AdminViewDep, key_id: str) -> Response:
    """Show an admin key, and what to do with it."""
    key = AdminKeyPublic.of(keys.get_key(view.session, None, key_id))
    return _key_page(view, key, Form.of(allowed_networks=" ".join(key.allowed_networks)))


@router.post("/{key_id}")
def update_admin_api_key(view: AdminViewDep, admin: AdminDep, key_id: str, form: FormDep) -> Response:
    """Change from where an admin key may be used."""
    key = AdminKeyPublic.of(keys.get_key(view.session, None, key_id))
    with shown_again(form, lambda form: _key_page(view, key, form)):
        new = AdminKeyUpdate.model_validate({"allowed_networks": form.lines("allowed_networks")})
        keys.check_may_grant(admin, key.scopes)
        keys.bind_admin_key(view.session, key_id, new.allowed_networks)
    return redirect(f"/operator/admin-keys/{key_id}")


@router.post("/{key_id}/rotate_secret")
def rotate_admin_api_key_secret(view: AdminViewDep, admin: AdminDep, key_id: str, form: FormDep) -> Response:
    """Give an admin key a new secret, and show it."""
    key = keys.get_key(view.session, None, key_id, lock=True)
    keys.check_may_grant(admin, key.scopes)
    check_not_rotated(form, key.hint)
    secret = keys.rotate_key(view.session, key, overlap_of(form).overlap)
    return view.page("operator/admin_key_secret.html", key=AdminKeyPublic.of(key), secret=secret)


@router.post("/{key_id}/revoke")
def delete_admin_api_key(view: AdminViewDep, admin: AdminDep, key_id: str) -> Response:
    """Revoke an admin key."""
    keys.delete_admin_key(view.session, admin, key_id)
    return redirect("/operator/admin-keys")


def _list_page(view: AdminView, form: Form, after: str | None) -> Response:
    rows = keys.page_of_keys(view.session, None, after=after, limit=PER_PAGE)
    return view.page(
        "operator/admin_keys.html",
        status=400 if form.errors else 200,
        keys=Page.of([AdminKeyPublic.of(row) for row in rows], PER_PAGE),
        form=form,
        scopes=ADMIN_SCOPES,
        lifetimes=LIFETIMES,
        snippets=admin_calls(view, "GET", "/admin_api_keys"),
    )


def _key_page(view: AdminView, key: AdminKeyPublic, form: Form) -> Response:
    call = admin_calls(view, "GET", f"/admin_api_keys/{key.id}")
    status = 400 if form.errors else 200
    return view.page("operator/admin_key.html", status=status, key=key, form=form, snippets=call)
