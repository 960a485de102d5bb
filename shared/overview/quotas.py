"""What a project keeps of what is limited, and the limits."""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import Session

from shared import idempotency
from shared.datasets import quota as files
from shared.db.quotas import count_of
from shared.deployments import service as deployments
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.quotas import quotas_in_force
from shared.webhooks import quota as events
from shared.webhooks import service as webhooks

COUNTED_AT_MOST = 1_000_000  # a project without a limit may have more


class QuotaPublic(BaseModel):
    """`limit` is null where there is none. `used` is 1000000 for that and more, except for files and bytes."""

    limit: int | None
    used: int


class QuotasPublic(BaseModel):
    """`file_bytes` includes what pending uploads were created for.

    `idempotency_keys` counts the answers that are kept, also for requests that OpenAI's SDK may repeat without a key.
    """

    file_bytes: QuotaPublic
    files: QuotaPublic
    pending_uploads: QuotaPublic
    webhook_endpoints: QuotaPublic
    events_per_day: QuotaPublic
    idempotency_keys: QuotaPublic
    api_keys: QuotaPublic
    credentials: QuotaPublic
    deployments: QuotaPublic


def quotas_of(session: Session, project_id: str) -> QuotasPublic:
    limits, kept = quotas_in_force(session, project_id), files.kept(session, project_id)
    counted = {
        "webhook_endpoints": webhooks.endpoints_of(project_id),
        "events_per_day": events.events_of_a_day(project_id),
        "idempotency_keys": idempotency.keys_of_a_day(project_id),
        "api_keys": projects.keys_of(project_id),
        "credentials": credentials.ids_of(project_id),
        "deployments": deployments.open_ones(project_id),
    }
    counts = session.execute(select(*(count_of(ids, COUNTED_AT_MOST) for ids in counted.values()))).one()
    used = {
        "file_bytes": kept.bytes,
        "files": kept.files,
        "pending_uploads": kept.pending_uploads,
        **dict(zip(counted, counts, strict=True)),
    }
    return QuotasPublic(**{name: QuotaPublic(limit=getattr(limits, name), used=used[name]) for name in used})
