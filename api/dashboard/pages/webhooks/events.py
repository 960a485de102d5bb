"""The events of the project, whether or not an endpoint wants them."""

import json

from starlette.responses import Response

from api.auth.deps import After
from api.auth.scopes import scope
from api.dashboard.pages.webhooks.deliveries import EventFilterDep
from api.dashboard.snippets import calls
from api.dashboard.view import ViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.webhooks import deliveries, readers
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import WebhookEventPublic

router = Router(prefix=f"{DASHBOARD}/webhooks/events", include_in_schema=False, dependencies=[scope("webhooks")])
PER_PAGE = 30


@router.get("")
def list_webhook_events(view: ViewDep, wanted: EventFilterDep, after: After = None) -> Response:
    """List the events, newest first. As in the API, they are written for a project that reads them."""
    project_id = view.caller.project_id
    readers.note_readers(view.session, [project_id])
    rows = deliveries.list_events(view.session, project_id, wanted, after=after, limit=PER_PAGE)
    return view.page(
        "webhooks/events.html",
        events=Page.of([WebhookEventPublic.of(row) for row in rows], PER_PAGE),
        event_types=list(EventType),
        snippets=calls(view.request, "GET", "/webhook_events", 'print(client.get("/webhook_events", cast_to=dict))'),
    )


@router.get("/{webhook_event_id}")
def retrieve_webhook_event(view: ViewDep, webhook_event_id: str) -> Response:
    """Show an event with its object."""
    found = get_owned(view.session, WebhookEvent, webhook_event_id, view.caller.project_id)
    event, path = WebhookEventPublic.of(found), f"/webhook_events/{found.id}"
    return view.page(
        "webhooks/event.html",
        event=event,
        data=json.dumps(event.data, indent=2, ensure_ascii=False),
        snippets=calls(view.request, "GET", path, f'print(client.get("{path}", cast_to=dict))'),
    )
