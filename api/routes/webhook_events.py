"""`/v1/webhook_events`: a project's events, as a list or as a stream of server-sent events."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response, StreamingResponse
from sqlmodel import Session
from starlette.requests import Request

from api import reads
from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.answer import answer
from api.http.router import Router
from api.idempotency import IdempotentRoute
from api.routes.webhook_endpoints import FilterDep, Limit
from api.streams.events import follow
from api.streams.wire import MEDIA_TYPE
from api.webhooks.samples import sample
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.webhooks import deliveries, readers
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import EventTypeNamed, WebhookEventPublic, WebhookEventTypeList

router = Router(prefix="/v1", tags=["Webhooks"], route_class=IdempotentRoute, dependencies=[scope("webhooks")])
_AS_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get("/webhook_event_types", response_model=WebhookEventTypeList)
def list_webhook_event_types(_: CallerDep) -> WebhookEventTypeList:
    """List the event types that a webhook endpoint can subscribe to."""
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
    """List the project's events, newest first, whether or not an endpoint subscribes to them.

    Those of a project without endpoints are written for 30 days after it has last listed or streamed its events.

    With `Accept: text/event-stream`, the response streams new events (or those after `Last-Event-ID`) as they happen,
    each at least once. The filters apply to the stream too, `after` and `limit` do not.
    """
    readers.note_readers(session, [caller.project_id])
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return follow(request, caller, wanted, _time_of(session, caller.project_id, last_event_id))
    rows = deliveries.list_events(session, caller.project_id, wanted, after=after, limit=limit)
    return Page.of([WebhookEventPublic.of(row) for row in rows], limit)


def _time_of(session: Session, project_id: str, event_id: str | None) -> datetime | None:
    if event_id is None:
        return None
    return get_owned(session, WebhookEvent, event_id, project_id, param="Last-Event-ID").created_at


@router.post("/webhook_events", response_model=WebhookEventPublic)
def create_sample_event(session: SessionDep, caller: CallerDep, asked: EventTypeNamed) -> WebhookEventPublic:
    """Create a sample event, to test a client of the stream. No endpoint receives it: an endpoint has its own test."""
    event = deliveries.make_sample(session, caller.project_id, asked.event_type, sample(asked.event_type))
    return WebhookEventPublic.of(event)


@router.get("/webhook_events/{webhook_event_id}", response_model=WebhookEventPublic)
async def retrieve_webhook_event(caller: CallerDep, webhook_event_id: str) -> Response:
    """Return an event with its complete object."""
    return answer(WebhookEventPublic.of(await reads.one(WebhookEvent, webhook_event_id, caller.project_id)))
