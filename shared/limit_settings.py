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
