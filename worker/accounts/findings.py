"""What a comparison of an account with the database finds, and what is done with it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    ADOPT = "adopt"
    CANCEL = "cancel"
    STOP = "stop"
    DELETE = "delete"
    LEAVE = "leave"


@dataclass(frozen=True)
class Finding:
    """Something at the provider that no row points to, and what to do with it.

    `id` is its id there; `ours` is our id that it carries; `why` is a reason for the operator.
    """

    id: str
    ours: str
    action: Action
    why: str
    made_at: datetime
