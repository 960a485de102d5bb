"""Receives a provider's webhooks, which only make a job due at once: its status is always read by polling."""

from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select
from standardwebhooks import Webhook, WebhookVerificationError

from shared.db.claims import make_due
from shared.errors import NotFound, Unauthorized
from shared.jobs.models import IS_AT_PROVIDER, Job
from shared.projects.credentials import seal_contexts
from shared.projects.models import Credential
from shared.security.secrets import unseal
from shared.settings import get_settings

TYPES = ("fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled")


def webhook_secret(credential: Credential) -> str | None:
    """Return the secret with which the provider signs its webhooks to us; None if it is not configured."""
    if credential.project_id is None:
        provider = get_settings().provider
        secret = provider.webhook_secret if credential.base_url == provider.base_url else None
        return secret.get_secret_value() if secret is not None else None
    if credential.sealed_webhook_secret is None or credential.deleted_at is not None:
        return None
    return unseal(credential.sealed_webhook_secret, seal_contexts(credential)["sealed_webhook_secret"])


def receive(session: Session, credential_id: str, headers: dict[str, str], body: bytes) -> None:
    """Make the job of a signed event due. Events of other types and of unknown jobs are ignored.

    A signature is valid for five minutes; an event replayed in that time has no effect once the job has ended. Raises
    `NotFound` for a credential without a webhook secret, `Unauthorized` if the signature is wrong, old or missing.
    """
    credential = session.get(Credential, credential_id)
    secret = webhook_secret(credential) if credential is not None else None
    if secret is None:
        raise NotFound(f"No such credential with a webhook secret: {credential_id}", param="credential_id")
    event = _verified(secret, headers, body)
    job_id = _job_id(event)
    if job_id is None:
        return
    query = select(Job).where(Job.credential_id == credential_id, Job.provider_job_id == job_id, text(IS_AT_PROVIDER))
    job = session.exec(query.with_for_update(key_share=True)).first()
    if job is not None:
        job.provider_status = None
        make_due(session, job)


def _verified(secret: str, headers: dict[str, str], body: bytes) -> Any:
    try:
        return Webhook(secret).verify(body, headers)
    except (WebhookVerificationError, ValueError, RecursionError) as error:
        raise Unauthorized(
            "The signature is wrong or older than five minutes: sign with the secret that is configured for this "
            "account's webhooks",
            code="invalid_webhook_signature",
        ) from error


def _job_id(event: Any) -> str | None:
    data = event.get("data") if isinstance(event, dict) and event.get("type") in TYPES else None
    id = data.get("id") if isinstance(data, dict) else None
    return id if isinstance(id, str) and "\0" not in id else None
