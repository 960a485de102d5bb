"""Makes responses: JSON encoded by msgspec, and lists in OpenAI's envelope."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


class Identified(Protocol):
    id: str


Item = TypeVar("Item", bound=Identified)


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(_encoder.encode(content), status, dict(headers or {}), "application/json")


def list_answer(data: Sequence[Any], has_more: bool) -> Response:
    """A page of jobs or events: `object`, `data`, `has_more` and nothing else."""
    return answer({"object": "list", "data": data, "has_more": has_more})


def list_answer_with_ends(data: Sequence[Identified], has_more: bool) -> Response:
    """A page of files or checkpoints, which also names its first and last id."""
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return answer({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more})


def deleted(kind: str, id: str) -> Response:
    return answer({"id": id, "object": kind, "deleted": True})
