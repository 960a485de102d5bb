"""Settings of chats that the api passes on to providers, and of deployments. `.env.example` explains each of them."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.setting_types import Bytes, Count, Seconds, SecondsOrNone


class ChatSettings(BaseModel):
    """Bounds of the chats of one api process: how many at once, and how long and large one may become."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_per_project: Count = 32
    max_per_account: Count = 256
    max_wait: SecondsOrNone = timedelta(seconds=2)
    timeout: Seconds = timedelta(minutes=10)
    max_answer_bytes: Bytes = 64 << 20


PricePerHour = Annotated[Decimal, Field(ge=0, lt=10**9, max_digits=18, decimal_places=6)]


class DeploymentSettings(BaseModel):
    """`prices_per_hour`: US dollars for one machine, by the id of an account or the name of its provider; an id goes
    first. A machine that a deployment names has its price at `{account or provider}/{machine}`.

    `idle_timeout`: after how long without a chat a deployment is stopped that names no time of its own; 0 is never.
    `start_timeout`: how long one may take until it is ready.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_timeout: SecondsOrNone = timedelta(hours=1)
    start_timeout: Seconds = timedelta(hours=2)
    prices_per_hour: dict[str, PricePerHour] = {}
