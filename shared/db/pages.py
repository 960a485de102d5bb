"""OpenAI's page of a list, which every list endpoint returns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel


class Listed(BaseModel):
    """Base class of list items: the id is the page cursor."""

    id: str


class OfRow(Listed):
    """A list item that only our own code makes, of a row's values, whose types mypy has checked.

    To check them once more took a quarter of the time of a list, and `model_construct` takes longer than the check.
    """

    _unset: ClassVar[dict[str, Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        cls._unset = {name: field.default for name, field in cls.model_fields.items()}  # in the order of the fields

    if not TYPE_CHECKING:

        def __init__(self, **values):
            object.__setattr__(self, "__dict__", {**self._unset, **values})
            object.__setattr__(self, "__pydantic_fields_set__", set(values))
            object.__setattr__(self, "__pydantic_extra__", None)
            object.__setattr__(self, "__pydantic_private__", None)

        __init__.__pydantic_base_init__ = True  # what comes from elsewhere is checked as ever


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
