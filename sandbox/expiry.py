"""When a file deletes itself: the same object in a file's form and in an upload's JSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ExpiresAfter(BaseModel):
    """So many seconds after the file's creation, from an hour to thirty days."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]
