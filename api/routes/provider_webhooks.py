"""`/v1/provider_webhooks`: a provider says that a job has ended, and the job is looked at at once."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel

from shared.database import transaction
from shared.jobs import provider_webhooks

MAX_BYTES = 64 << 10

router = APIRouter(prefix="/v1/provider_webhooks", tags=["Webhooks"])


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
    """For the provider alone: its own events `fine_tuning.job.succeeded`, `failed` and `cancelled`, signed with the
    secret of this account's webhook (Standard Webhooks). The job is looked at at once; the look decides what is true.
    No API key."""
    headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    with transaction() as session:
        provider_webhooks.receive(session, credential_id, headers, body)
    return Received()
