"""Settings of chats that the api passes on to providers. `.env.example` explains each of them."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from shared.setting_types import Bytes, Count, Seconds, SecondsOrNone


class ChatSettings(BaseModel):
    """Bounds of the chats of one api process: how many at once, and how long and large one may become."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_per_project: Count = 32
    max_per_account: Count = 256
    max_wait: SecondsOrNone = timedelta(seconds=2)
    timeout: Seconds = timedelta(minutes=10)
    max_answer_bytes: Bytes = 64 << 20
