"""Settings that say how long what is not the product's memory is kept. Jobs, files and messages are kept for good."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from shared.setting_types import Count, Seconds


class RetentionSettings(BaseModel):
    """`metrics`: how long after its end a job keeps every step of its curve; then `metrics_points` are left of it. None
    means for good.

    `unread_events`: whether events are written for a project that has no webhook endpoint and has not read its events
    for 30 days.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: Seconds | None = timedelta(days=90)
    metrics_points: Count = 500
    unread_events: bool = False
