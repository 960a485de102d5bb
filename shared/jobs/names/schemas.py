"""A model as OpenAI's wire has it."""

from typing import Literal

from pydantic import BaseModel

from shared.db.times import epoch
from shared.jobs.models import TunedModel


class ModelPublic(BaseModel):
    """OpenAI's model object. A tuned model ends with its base: `shutdown_date` (YYYY-MM-DD) is the base's.

    `last_used_at`: when a tuned model was last asked, up to a minute late; null for others. `providers`: those of the
    accounts that offer a base, of which the first takes new jobs; of a tuned model, the one that has it.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    shutdown_date: str | None = None
    last_used_at: int | None = None
    providers: list[str] = []

    @classmethod
    def of(cls, row: TunedModel, shutdown_date: str | None, provider: str) -> "ModelPublic":
        return cls(
            id=row.name,
            created=epoch(row.created_at),
            owned_by=row.project_id,
            shutdown_date=shutdown_date,
            last_used_at=epoch(row.last_used_at) if row.last_used_at else None,
            providers=[provider],
        )
