"""Who of a project is told by e-mail, managed with an admin key."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.idempotency import IdempotentAdminRoute
from shared.db.pages import Page
from shared.notices import service as notices
from shared.notices.schemas import NoticeListDeleted, NoticeListPublic, NoticeListUpdate, NoticePublic

router = APIRouter(
    prefix="/v1/organization/projects/{project_id}/email_notices",
    tags=["Administration"],
    dependencies=[admin_scope("limits")],
    route_class=IdempotentAdminRoute,
)


@router.get("", response_model=NoticeListPublic)
def retrieve_email_notices(session: OrganizationSessionDep, project_id: str) -> NoticeListPublic:
    """Who is told by e-mail, and of what; nobody, if nobody was named."""
    return NoticeListPublic.of(notices.list_of(session, project_id))


@router.post("", response_model=NoticeListPublic)
def update_email_notices(session: OrganizationSessionDep, project_id: str, new: NoticeListUpdate) -> NoticeListPublic:
    """Say who is told, in place of those who were before."""
    return NoticeListPublic.of(notices.set_list(session, project_id, new))


@router.delete("", response_model=NoticeListDeleted)
def delete_email_notices(session: OrganizationSessionDep, project_id: str) -> NoticeListDeleted:
    """Tell nobody any more. What was to be sent already is sent."""
    notices.delete_list(session, project_id)
    return NoticeListDeleted()


@router.get("/sent", response_model=Page[NoticePublic])
def list_sent_email_notices(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[NoticePublic]:
    """What was sent to whom, or is still tried, and why it was given up; newest first."""
    rows = notices.list_notices(session, project_id, after=after, limit=limit)
    return Page.of([NoticePublic.of(row) for row in rows], limit)
