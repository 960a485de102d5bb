"""The deliveries of a webhook endpoint, with every attempt."""

import json
from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from api.auth.deps import After
from api.auth.scopes import scope
from api.dashboard.forms import chosen, seconds
from api.dashboard.snippets import calls
from api.dashboard.view import ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.pages import Page
from shared.webhooks import deliveries
from shared.webhooks.event_filter import EventFilter
from shared.webhooks.event_types import EventType
from shared.webhooks.models import DeliveryStatus
from shared.webhooks.schemas import WebhookEndpointPublic

router = Router(
    prefix=f"{DASHBOARD}/webhooks/endpoints/{{webhook_endpoint_id}}/deliveries",
    include_in_schema=False,
    dependencies=[scope("webhooks")],
)
PER_PAGE = 20


def event_filter(
    type: str = "", object: str = Query("", max_length=256), since: str = "", until: str = ""
) -> EventFilter:
    """Read the filters of the address, of which a form sends the empty ones too."""
    return EventFilter(
        type=chosen(EventType, type, "type"),
        object_id=object.strip() or None,
        since=seconds(since, "since"),
        until=seconds(until, "until"),
    )


EventFilterDep = Annotated[EventFilter, Depends(event_filter)]


@router.get("")
def list_webhook_deliveries(
    view: ViewDep, webhook_endpoint_id: str, wanted: EventFilterDep, status: str = "", after: After = None
) -> Response:
    """List the deliveries, newest first."""
    project_id = view.caller.project_id
    endpoint = deliveries.check_endpoint(view.session, project_id, webhook_endpoint_id)
    rows = deliveries.list_deliveries(
        view.session,
        project_id,
        webhook_endpoint_id,
        wanted,
        chosen(DeliveryStatus, status, "status"),
        after=after,
        limit=PER_PAGE,
    )
    path = f"/webhook_endpoints/{endpoint.id}/deliveries"
    return view.page(
        "webhooks/deliveries.html",
        endpoint=WebhookEndpointPublic.of(endpoint),
        deliveries=Page.of(rows, PER_PAGE),
        statuses=list(DeliveryStatus),
        event_types=list(EventType),
        snippets=calls(view.request, "GET", path, f'print(client.get("{path}", cast_to=dict))'),
    )


@router.get("/{delivery_id}")
def retrieve_webhook_delivery(view: ViewDep, webhook_endpoint_id: str, delivery_id: str) -> Response:
    """Show a delivery: its body, and what was sent and answered in each attempt."""
    project_id = view.caller.project_id
    found = deliveries.get_delivery(view.session, project_id, webhook_endpoint_id, delivery_id)
    shown = deliveries.show_delivery(view.session, found)
    endpoint = deliveries.check_endpoint(view.session, project_id, webhook_endpoint_id)
    path = f"/webhook_endpoints/{endpoint.id}/deliveries/{shown.id}"
    python = f'client.post("{path}/redeliver", cast_to=dict)'
    return view.page(
        "webhooks/delivery.html",
        endpoint=WebhookEndpointPublic.of(endpoint),
        is_deleted=endpoint.deleted_at is not None,
        delivery=shown,
        body=json.dumps(json.loads(shown.request_body), indent=2, ensure_ascii=False),
        snippets=calls(view.request, "POST", f"{path}/redeliver", python),
    )


@router.post("/{delivery_id}/redeliver")
def redeliver_webhook(view: ViewDep, webhook_endpoint_id: str, delivery_id: str) -> Response:
    """Send a delivery again."""
    deliveries.redeliver(view.session, view.caller.project_id, webhook_endpoint_id, delivery_id)
    return redirect(f"/webhooks/endpoints/{webhook_endpoint_id}/deliveries/{delivery_id}")
