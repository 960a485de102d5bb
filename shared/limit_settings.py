"""Settings that limit what one project may ask for."""

from pydantic import BaseModel, ConfigDict

from shared.setting_types import Limit


class RateLimitSettings(BaseModel):
    """Limits of projects that have no limit of their own; None means unlimited.

    `failed_authentications_per_minute` is per IP address; open streams are counted by each process of the api.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Limit = 6000
    bytes_per_minute: Limit = None
    jobs_per_day: Limit = None
    open_jobs: Limit = None
    failed_authentications_per_minute: Limit = 100
    streams_per_key: Limit = 500
    streams_per_project: Limit = 1000


class QuotaSettings(BaseModel):
    """How much one project may keep; None means without limit. `endpoints` are limited by `max_webhook_endpoints`.

    `file_bytes` counts pending uploads with the bytes that they were created for. Events and idempotency keys are those
    of the last 24 hours; each process counts them once a minute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_bytes: Limit = 1 << 40
    files: Limit = 100_000
    pending_uploads: Limit = 100
    api_keys: Limit = 1_000
    credentials: Limit = 100
    deployments: Limit = 10
    events_per_day: Limit = 100_000
    idempotency_keys: Limit = 100_000
