"""One shape for every list: OpenAI's, with `after`, `limit` and `has_more`."""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel


class Listed(BaseModel):
    """What can stand in a list: its id is the cursor."""

    id: str


Item = TypeVar("Item", bound=Listed)


class Page(BaseModel, Generic[Item]):
    """Newest first. `last_id` is the next page's `after`."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, items: Sequence[Item], limit: int) -> "Page[Item]":
        """A page of at most `limit`, from rows of which one more than that was asked for."""
        data = list(items[:limit])
        return cls.model_construct(
            object="list",
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(items) > limit,
        )
