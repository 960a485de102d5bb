"""What a project keeps of what is limited, and the limits."""

from pydantic import BaseModel
from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from shared import idempotency
from shared.datasets import quota as files
from shared.db.quotas import count_up_to
from shared.projects import credentials
from shared.projects import service as projects
from shared.settings import get_settings
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


def quotas_of(session: Session, project_id: str) -> QuotasPublic:
    settings, kept = get_settings(), files.kept(session, project_id)
    limits = settings.quotas

    def counted(limit: int | None, query: SelectOfScalar[str]) -> QuotaPublic:
        return QuotaPublic(limit=limit, used=count_up_to(session, query, COUNTED_AT_MOST))

    return QuotasPublic(
        file_bytes=QuotaPublic(limit=limits.file_bytes, used=kept.bytes),
        files=QuotaPublic(limit=limits.files, used=kept.files),
        pending_uploads=QuotaPublic(limit=limits.pending_uploads, used=kept.pending_uploads),
        webhook_endpoints=counted(settings.max_webhook_endpoints, webhooks.endpoints_of(project_id)),
        events_per_day=counted(limits.events_per_day, events.events_of_a_day(project_id)),
        idempotency_keys=counted(limits.idempotency_keys, idempotency.keys_of_a_day(project_id)),
        api_keys=counted(limits.api_keys, projects.keys_of(project_id)),
        credentials=counted(limits.credentials, credentials.ids_of(project_id)),
    )
