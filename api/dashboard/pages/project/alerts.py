"""A project's spend alerts: who gets an e-mail when the month's spending reaches an amount."""

from starlette.responses import Response

from api.auth.deps import AdminDep, After
from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, shown_again
from api.dashboard.pages.project.money import cents_of
from api.dashboard.pages.project.shown import OF_PROJECT, ProjectRoute, admin_calls, project_page
from api.dashboard.sent_once import made_by_typed
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.budgets import alerts
from shared.budgets.schemas import SpendAlertPublic, SpendAlertUpdate
from shared.db.pages import Page

router = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}/alerts",
    include_in_schema=False,
    dependencies=[admin_scope("limits")],
    route_class=ProjectRoute,
)
PER_PAGE = 20


@router.get("")
def list_spend_alerts(view: AdminViewDep, project_id: str, after: After = None) -> Response:
    """List the alerts, newest first, and ask for a new one."""
    return _page(view, project_id, Form(), after)


@router.post("")
def create_spend_alert(view: AdminViewDep, admin: AdminDep, project_id: str, form: FormDep) -> Response:
    """Make an alert."""
    with shown_again(form, lambda form: _page(view, project_id, form)):
        new = _typed(form)
        made_by_typed(view, admin.key_id, form, lambda: alerts.create(view.session, project_id, new).id)
    return redirect(f"/projects/{project_id}/alerts")


@router.post("/{alert_id}")
def update_spend_alert(view: AdminViewDep, project_id: str, alert_id: str, form: FormDep) -> Response:
    """Change the amount and the recipients of an alert; what is wrong is told in its row."""
    alerts.get(view.session, project_id, alert_id)
    with shown_again(form, lambda form: _page(view, project_id, form, changed=alert_id)):
        alerts.update(view.session, project_id, alert_id, _typed(form))
    return redirect(f"/projects/{project_id}/alerts")


@router.post("/{alert_id}/delete")
def delete_spend_alert(view: AdminViewDep, project_id: str, alert_id: str) -> Response:
    """Delete an alert."""
    alerts.delete(view.session, project_id, alert_id)
    return redirect(f"/projects/{project_id}/alerts")


def _typed(form: Form) -> SpendAlertUpdate:
    channel = {"type": "email", "recipients": form.lines("notification_channel")}
    if form.text("subject_prefix"):
        channel["subject_prefix"] = form.text("subject_prefix")
    amount = cents_of(form, "threshold_amount")
    typed = {"currency": "USD", "interval": "month", "threshold_amount": amount, "notification_channel": channel}
    return SpendAlertUpdate.model_validate(typed)


def _page(
    view: AdminView, project_id: str, form: Form, after: str | None = None, changed: str | None = None
) -> Response:
    """`form` is that of a new alert, or of the one that is `changed`."""
    rows = alerts.list_alerts(view.session, project_id, after=after, before=None, ascending=False, limit=PER_PAGE)
    channel = {"type": "email", "recipients": ["finance@example.com"]}
    body = {"currency": "USD", "interval": "month", "threshold_amount": 10_000, "notification_channel": channel}
    call = admin_calls(view, "POST", f"/projects/{project_id}/spend_alerts", body)
    shown = Page.of([SpendAlertPublic.of(row) for row in rows], PER_PAGE)
    more = {"form": form, "new": Form() if changed else form, "changed": changed}
    return project_page(view, project_id, "project/alerts.html", call, alerts=shown, **more)
