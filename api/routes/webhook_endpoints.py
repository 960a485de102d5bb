"""`/v1/webhook_endpoints`: where a project is told that its jobs have ended, and how telling went."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import After, CallerDep, SessionDep
from shared.pages import Page
from shared.tables import get_owned, list_owned
from shared.webhooks import service as webhooks
from shared.webhooks.models import WebhookEndpoint
from shared.webhooks.schemas import (
    WebhookDeliveryPublic,
    WebhookEndpointCreate,
    WebhookEndpointDeleted,
    WebhookEndpointPublic,
    WebhookEndpointWithSecret,
)

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["Webhooks"])


@router.post("", response_model=WebhookEndpointWithSecret)
def create_webhook_endpoint(
    session: SessionDep, caller: CallerDep, new: WebhookEndpointCreate
) -> WebhookEndpointWithSecret:
    """Register an https address. Only this answer holds the `signing_secret`; verify with `client.webhooks.unwrap`."""
    endpoint, secret = webhooks.create_endpoint(session, caller.project_id, new)
    return WebhookEndpointWithSecret(**WebhookEndpointPublic.of(endpoint).model_dump(), signing_secret=secret)


@router.get("", response_model=Page[WebhookEndpointPublic])
def list_webhook_endpoints(
    session: SessionDep, caller: CallerDep, after: After = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Page[WebhookEndpointPublic]:
    """The project's endpoints, newest first."""
    rows = list_owned(session, WebhookEndpoint, caller.project_id, after=after, limit=limit)
    return Page.of([WebhookEndpointPublic.of(row) for row in rows], limit)


@router.get("/{webhook_endpoint_id}", response_model=WebhookEndpointPublic)
def retrieve_webhook_endpoint(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str
) -> WebhookEndpointPublic:
    """One endpoint, without its secret."""
    return WebhookEndpointPublic.of(get_owned(session, WebhookEndpoint, webhook_endpoint_id, caller.project_id))


@router.delete("/{webhook_endpoint_id}", response_model=WebhookEndpointDeleted)
def delete_webhook_endpoint(session: SessionDep, caller: CallerDep, webhook_endpoint_id: str) -> WebhookEndpointDeleted:
    """Nothing more is sent to it, also of what is still to be repeated."""
    webhooks.delete_endpoint(session, caller.project_id, webhook_endpoint_id)
    return WebhookEndpointDeleted(id=webhook_endpoint_id)


@router.get("/{webhook_endpoint_id}/deliveries", response_model=Page[WebhookDeliveryPublic])
def list_webhook_deliveries(
    session: SessionDep,
    caller: CallerDep,
    webhook_endpoint_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[WebhookDeliveryPublic]:
    """What was sent to an endpoint, newest first: each attempt with its status, duration, error and the answer."""
    rows = webhooks.list_deliveries(session, caller.project_id, webhook_endpoint_id, after=after, limit=limit)
    return Page.of(rows, limit)
