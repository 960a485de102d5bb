"""A project's budget, the amount above which its jobs wait for approval, and who gets e-mail."""

from decimal import Decimal
from typing import Any, get_args

from starlette.responses import Response

from api.auth.scopes import admin_scope
from api.dashboard.forms import Form, FormDep, shown_again, whole_if_one
from api.dashboard.pages.project.shown import OF_PROJECT, ProjectRoute, admin_calls, project_page
from api.dashboard.view import AdminView, AdminViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.budgets import limits
from shared.budgets.schemas import MAX_CENTS, ApprovalLimitUpdate, SpendLimitUpdate
from shared.errors import Invalid
from shared.notifications import service as notifications
from shared.notifications.schemas import (
    JOB_ENDS,
    NotificationPublic,
    NotificationRecipientsPublic,
    NotificationRecipientsUpdate,
    NotificationType,
)

router = Router(
    prefix=f"{DASHBOARD}{OF_PROJECT}",
    include_in_schema=False,
    dependencies=[admin_scope("limits")],
    route_class=ProjectRoute,
)
NEWEST = 20


@router.get("/budget")
def retrieve_budget(view: AdminViewDep, project_id: str) -> Response:
    """Show the monthly limit with what is spent of it, and the limit for approvals."""
    return _budget_page(view, project_id, Form())


@router.post("/budget")
def update_spend_limit(view: AdminViewDep, project_id: str, form: FormDep) -> Response:
    """Set the monthly limit."""
    with shown_again(form, lambda form: _budget_page(view, project_id, form)):
        amount = cents_of(form, "threshold_amount")
        percentages = [whole_if_one(each) for each in form.lines("alert_percentages")]
        typed = {"currency": "USD", "interval": "month", "threshold_amount": amount, "alert_percentages": percentages}
        new = SpendLimitUpdate.model_validate(typed)
        limits.set_spend_limit(view.session, project_id, new.threshold_amount, new.alert_percentages)
    return redirect(f"/projects/{project_id}/budget")


@router.post("/budget/delete")
def delete_spend_limit(view: AdminViewDep, project_id: str) -> Response:
    """Remove the monthly limit."""
    limits.delete_spend_limit(view.session, project_id)
    return redirect(f"/projects/{project_id}/budget")


@router.post("/budget/approval")
def update_approval_limit(view: AdminViewDep, project_id: str, form: FormDep) -> Response:
    """Set the amount above which a job waits for approval."""
    with shown_again(form, lambda form: _budget_page(view, project_id, form)):
        cents = cents_of(form, "approval_amount")
        new = ApprovalLimitUpdate.model_validate({"currency": "USD", "threshold_amount": cents})
        limits.set_approval_limit(view.session, project_id, new.threshold_amount)
    return redirect(f"/projects/{project_id}/budget")


@router.post("/budget/approval/delete")
def delete_approval_limit(view: AdminViewDep, project_id: str) -> Response:
    """Let new jobs start without approval."""
    limits.delete_approval_limit(view.session, project_id)
    return redirect(f"/projects/{project_id}/budget")


@router.get("/email")
def retrieve_email_notifications(view: AdminViewDep, project_id: str) -> Response:
    """Show who gets e-mail, about what, and what was sent."""
    shown = NotificationRecipientsPublic.of(notifications.get_recipients(view.session, project_id))
    types = shown.event_types or list(JOB_ENDS)
    return _email_page(view, project_id, Form.of(recipients="\n".join(shown.recipients), event_types=types))


@router.post("/email")
def update_email_notifications(view: AdminViewDep, project_id: str, form: FormDep) -> Response:
    """Set who gets e-mail, and about what."""
    with shown_again(form, lambda form: _email_page(view, project_id, form)):
        typed = {"recipients": form.lines("recipients"), "event_types": form.all("event_types")}
        new = NotificationRecipientsUpdate.model_validate(typed)
        notifications.set_recipients(view.session, project_id, new)
    return redirect(f"/projects/{project_id}/email")


@router.post("/email/delete")
def delete_email_notifications(view: AdminViewDep, project_id: str) -> Response:
    """Stop e-mail."""
    notifications.delete_recipients(view.session, project_id)
    return redirect(f"/projects/{project_id}/email")


def cents_of(form: Form, name: str) -> int:
    """Return an amount of dollars in cents. Raises `Invalid` for what is none."""
    try:
        cents = Decimal(form.text(name)) * 100
    except ArithmeticError:  # no number, or too large a one
        cents = Decimal("NaN")
    if not cents.is_finite() or not 0 <= cents <= MAX_CENTS or cents != cents.to_integral_value():
        sentence = "must be dollars, with at most two digits behind the point, such as 250 or 99.50"
        raise Invalid(sentence, param=name)
    return int(cents)


def _budget_page(view: AdminView, project_id: str, form: Form) -> Response:
    spend = limits.if_any(limits.get_spend_limit, view.session, project_id)
    approval = limits.if_any(limits.get_approval_limit, view.session, project_id)
    known: dict[str, Any] = {"alert_percentages": " ".join(map(str, spend.alert_percentages)) if spend else "50 80 100"}
    known |= {"threshold_amount": f"{spend.threshold_amount / 100:.2f}"} if spend else {}
    known |= {"approval_amount": f"{approval.threshold_amount / 100:.2f}"} if approval else {}
    filled = Form({**Form.of(**known).values, **form.values}, form.errors)
    body = {"currency": "USD", "interval": "month", "threshold_amount": 25_000}
    call = admin_calls(view, "POST", f"/projects/{project_id}/spend_limit", body)
    return project_page(view, project_id, "project/budget.html", call, form=filled, spend=spend, approval=approval)


def _email_page(view: AdminView, project_id: str, form: Form) -> Response:
    shown = NotificationRecipientsPublic.of(notifications.get_recipients(view.session, project_id))
    rows = notifications.list_notifications(view.session, project_id, after=None, limit=NEWEST)
    call = admin_calls(view, "GET", f"/projects/{project_id}/email_notifications")
    types = [str(each) for each in get_args(NotificationType)]
    more = {"form": form, "email": shown, "types": types, "sent": [NotificationPublic.of(row) for row in rows[:NEWEST]]}
    return project_page(view, project_id, "project/email.html", call, **more)
