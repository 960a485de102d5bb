"""`/v1/provider_webhooks`: receives a provider's own webhooks, so that a job's end is known before its next poll."""

from typing import Annotated, Literal

from fastapi import Depends, Header, Request
from pydantic import BaseModel

from api.http.router import Router
from shared.database import transaction
from shared.jobs import provider_webhooks

MAX_BYTES = 64 << 10

router = Router(prefix="/v1/provider_webhooks", tags=["Webhooks"])


class Received(BaseModel):
    received: Literal[True] = True


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post("/{credential_id}", response_model=Received)
def receive_provider_webhook(
    credential_id: str,
    body: Annotated[bytes, Depends(_body)],
    id: Annotated[str, Header(alias="webhook-id", max_length=256)] = "",
    timestamp: Annotated[str, Header(alias="webhook-timestamp", max_length=32)] = "",
    signature: Annotated[str, Header(alias="webhook-signature", max_length=4096)] = "",
) -> Received:
    """Receive a webhook from the provider: `fine_tuning.job.succeeded`, `failed` or `cancelled`.

    It needs no API key; it must be signed with the credential's webhook secret (Standard Webhooks). The job is polled
    at once, and only that poll changes it. Errors: 400 for a wrong signature, 404 for an unknown credential.
    """
    headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    with transaction() as session:
        provider_webhooks.receive(session, credential_id, headers, body)
    return Received()
