"""`/v1/webhook_events`: what has happened in a project, as a list or as a stream that goes on."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from sqlmodel import Session
from starlette.requests import Request

from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.idempotency import IdempotentRoute
from api.routes.webhook_endpoints import FilterDep, Limit
from api.streams.events import MEDIA_TYPE, follow
from api.webhooks.samples import sample
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.webhooks import deliveries
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import EventTypeNamed, WebhookEventPublic, WebhookEventTypeList

router = APIRouter(prefix="/v1", tags=["Webhooks"], route_class=IdempotentRoute, dependencies=[scope("webhooks")])
_AS_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get("/webhook_event_types", response_model=WebhookEventTypeList)
def list_webhook_event_types(_: CallerDep) -> WebhookEventTypeList:
    """Every type that an endpoint may ask for."""
    return WebhookEventTypeList(data=list(EventType))


@router.get("/webhook_events", response_model=Page[WebhookEventPublic], responses=_AS_STREAM)
def list_webhook_events(
    request: Request,
    session: SessionDep,
    caller: CallerDep,
    wanted: FilterDep,
    after: After = None,
    limit: Limit = 20,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Page[WebhookEventPublic] | StreamingResponse:
    """What happened, newest first, whether or not an endpoint was told.

    With `Accept: text/event-stream` the events from now on (or from `Last-Event-ID` on) come as they happen, each at
    least once. The filters apply there too; `after` and `limit` do not.
    """
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return follow(request, wanted, _time_of(session, caller.project_id, last_event_id))
    rows = deliveries.list_events(session, caller.project_id, wanted, after=after, limit=limit)
    return Page.of([WebhookEventPublic.of(row) for row in rows], limit)


def _time_of(session: Session, project_id: str, event_id: str | None) -> datetime | None:
    if event_id is None:
        return None
    return get_owned(session, WebhookEvent, event_id, project_id, param="Last-Event-ID").created_at


@router.post("/webhook_events", response_model=WebhookEventPublic)
def create_sample_event(session: SessionDep, caller: CallerDep, asked: EventTypeNamed) -> WebhookEventPublic:
    """Make a sample event, for those who follow the stream; no endpoint is told. To try one of those, use its test."""
    event = deliveries.make_sample(session, caller.project_id, asked.event_type, sample(asked.event_type))
    return WebhookEventPublic.of(event)


@router.get("/webhook_events/{webhook_event_id}", response_model=WebhookEventPublic)
def retrieve_webhook_event(session: SessionDep, caller: CallerDep, webhook_event_id: str) -> WebhookEventPublic:
    """One event, with the whole object."""
    return WebhookEventPublic.of(get_owned(session, WebhookEvent, webhook_event_id, caller.project_id))
