"""Forms of the pages: they are checked by the models of the API's bodies, and shown again with their errors."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import Forbidden, Invalid, NotFound, ServiceError
from shared.projects.key_schemas import KeyRotate

Body = TypeVar("Body", bound=BaseModel)
Choice = TypeVar("Choice", bound=StrEnum)
LATEST_SECONDS = 2**33
MAX_DIGITS = 18  # fit into 64 bits


@dataclass
class Form:
    """What was typed, and what is wrong with it, by field; `""` stands for the whole form."""

    values: Mapping[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, **values: Any) -> "Form":
        """Return a form that shows these values."""
        return cls({name: _texts(value) for name, value in values.items()})

    def text(self, name: str) -> str:
        return next(iter(self.all(name)), "").strip()

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])

    def has(self, name: str) -> bool:
        """Whether a box is checked."""
        return bool(self.text(name))

    def lines(self, name: str) -> list[str]:
        """Return the words of a field with several lines."""
        return self.text(name).replace(",", " ").split()

    def whole(self, name: str) -> int | str | None:
        """Return a whole number; None for an empty field; other text as it is, for the model to refuse."""
        text = self.text(name)
        return whole_if_one(text) if text else None


def whole_if_one(text: str) -> int | str:
    """Return a whole number that fits into 64 bits; other text as it is."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else text


def _texts(value: Any) -> list[str]:
    if isinstance(value, bool) or value is None:
        return ["on"] if value else []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


class FormRefused(Exception):
    """Ends a request whose form cannot be accepted: its transaction is rolled back, and the page is answered."""

    def __init__(self, page: Response) -> None:
        super().__init__()
        self.page = page


def show_refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, FormRefused)
    return error.page


@contextmanager
def noted(form: Form) -> Iterator[None]:
    """Note at its field what a model or a service refuses of what was typed."""
    try:
        yield
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            name = str(each["loc"][0]) if each["loc"] else ""
            form.errors.setdefault(name, each["msg"].removeprefix("Value error, "))
    except (NotFound, Forbidden):
        raise
    except ServiceError as error:
        if error.status >= 500:
            raise
        form.errors[error.param if error.param and error.param in form.values else ""] = error.message


@contextmanager
def shown_again(form: Form, page: Callable[[Form], Response]) -> Iterator[None]:
    """Show the form again, with its errors at their fields, if a model or a service refuses what was typed."""
    with noted(form):
        yield
    if form.errors:
        raise FormRefused(page(form))


async def _read(request: Request) -> AsyncIterator[Form]:
    async with request.form(max_files=0, max_fields=200) as sent:
        yield Form(_values(sent))


def _values(sent: FormData) -> dict[str, list[str]]:
    return {name: [each for each in sent.getlist(name) if isinstance(each, str)] for name in sent}


FormDep = Annotated[Form, Depends(_read)]


def chosen(choices: type[Choice], text: str, param: str) -> Choice | None:
    """Return the choice of a filter; None for an empty one. Raises `Invalid`."""
    try:
        return choices(text) if text else None
    except ValueError:
        raise Invalid(f"{param} must be one of: {', '.join(choices)}", param=param) from None


def seconds(text: str, param: str) -> int | None:
    """Return the time of a `datetime-local` field (UTC) in Unix seconds; None for an empty one.

    Raises `Invalid`, also for a time before 1970 or after 2242: near year 1 and 10000 the arithmetic of times fails.
    """
    if not text:
        return None
    try:
        found = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        found = -1
    if not 0 <= found <= LATEST_SECONDS:
        raise Invalid(f"{param} must be a time such as 2026-11-30T12:00", param=param)
    return found


def overlap_of(form: Form) -> KeyRotate:
    """Return whether the old secret of a key goes on working for a while."""
    return KeyRotate() if form.has("overlap") else KeyRotate(overlap_seconds=0)


def check_not_rotated(form: Form, hint: str) -> None:
    """Raises `Invalid` unless the form was made for the secret with this hint.

    Reloading the page that shows a new secret sends the form again, which must not end that secret.
    """
    if form.text("hint") != hint:
        raise Invalid("it has been rotated already: open its page again to rotate it once more", param="hint")
