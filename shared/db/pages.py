"""OpenAI's page of a list, which every list endpoint returns."""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel


class Listed(BaseModel):
    """Base class of list items: the id is the page cursor."""

    id: str


Item = TypeVar("Item", bound=Listed)


class Page(BaseModel, Generic[Item]):
    """A page of items; pass `last_id` as `after` to get the next one."""

    object: Literal["list"] = "list"
    data: list[Item]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, items: Sequence[Item], limit: int) -> "Page[Item]":
        """Make a page of up to `limit` items; `items` must have one more if there is another page."""
        data = list(items[:limit])
        return cls.model_construct(
            object="list",
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(items) > limit,
        )
