"""E-mail notifications of projects: their recipients, and what was sent, for admin keys."""

from typing import Annotated

from fastapi import Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.notifications import service as notifications
from shared.notifications.schemas import (
    NotificationPublic,
    NotificationRecipientsDeleted,
    NotificationRecipientsPublic,
    NotificationRecipientsUpdate,
)

router = Router(
    prefix="/v1/organization/projects/{project_id}/email_notifications",
    tags=["Administration"],
    dependencies=[admin_scope("limits")],
    route_class=IdempotentAdminRoute,
)


@router.get("", response_model=NotificationRecipientsPublic)
def retrieve_email_notifications(session: OrganizationSessionDep, project_id: str) -> NotificationRecipientsPublic:
    """Return who receives e-mail notifications, and for which events."""
    return NotificationRecipientsPublic.of(notifications.get_recipients(session, project_id))


@router.post("", response_model=NotificationRecipientsPublic)
def update_email_notifications(
    session: OrganizationSessionDep, project_id: str, new: NotificationRecipientsUpdate
) -> NotificationRecipientsPublic:
    """Set the recipients and events of e-mail notifications, in place of the previous ones."""
    return NotificationRecipientsPublic.of(notifications.set_recipients(session, project_id, new))


@router.delete("", response_model=NotificationRecipientsDeleted)
def delete_email_notifications(session: OrganizationSessionDep, project_id: str) -> NotificationRecipientsDeleted:
    """Stop e-mail notifications. Those that are already waiting are still sent."""
    notifications.delete_recipients(session, project_id)
    return NotificationRecipientsDeleted()


@router.get("/sent", response_model=Page[NotificationPublic])
def list_sent_email_notifications(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[NotificationPublic]:
    """List e-mail notifications that were sent, are still being retried or have failed, newest first."""
    rows = notifications.list_notifications(session, project_id, after=after, limit=limit)
    return Page.of([NotificationPublic.of(row) for row in rows], limit)
