"""Who of a project is told by e-mail, managed with an admin key."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.notifications import service as notifications
from shared.notifications.schemas import (
    NotificationPublic,
    NotificationRecipientsDeleted,
    NotificationRecipientsPublic,
    NotificationRecipientsUpdate,
)

router = APIRouter(
    prefix="/v1/organization/projects/{project_id}/email_notifications",
    tags=["Administration"],
    dependencies=[admin_scope("limits")],
    route_class=IdempotentAdminRoute,
)


@router.get("", response_model=NotificationRecipientsPublic)
def retrieve_email_notifications(session: OrganizationSessionDep, project_id: str) -> NotificationRecipientsPublic:
    """Who is told by e-mail, and of what; nobody, if nobody was named."""
    return NotificationRecipientsPublic.of(notifications.list_of(session, project_id))


@router.post("", response_model=NotificationRecipientsPublic)
def update_email_notifications(
    session: OrganizationSessionDep, project_id: str, new: NotificationRecipientsUpdate
) -> NotificationRecipientsPublic:
    """Say who is told, in place of those who were before."""
    return NotificationRecipientsPublic.of(notifications.set_list(session, project_id, new))


@router.delete("", response_model=NotificationRecipientsDeleted)
def delete_email_notifications(session: OrganizationSessionDep, project_id: str) -> NotificationRecipientsDeleted:
    """Tell nobody any more. What was to be sent already is sent."""
    notifications.delete_list(session, project_id)
    return NotificationRecipientsDeleted()


@router.get("/sent", response_model=Page[NotificationPublic])
def list_sent_email_notifications(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[NotificationPublic]:
    """What was sent to whom, or is still tried, and why it was given up; newest first."""
    rows = notifications.list_notifications(session, project_id, after=after, limit=limit)
    return Page.of([NotificationPublic.of(row) for row in rows], limit)
