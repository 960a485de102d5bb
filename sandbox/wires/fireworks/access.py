"""What every route needs: the engine, the account of the path, and pages of a list."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from sandbox.state import SandboxDep
from sandbox.wires.fireworks.engine import FireworksSandbox
from sandbox.wires.fireworks.status import INVALID_ARGUMENT, PERMISSION_DENIED, StatusError

Item = TypeVar("Item")
MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE = 200, 50


def _engine(state: SandboxDep) -> FireworksSandbox:
    assert isinstance(state, FireworksSandbox)
    return state


EngineDep = Annotated[FireworksSandbox, Depends(_engine)]


def _of_account(account: str, engine: EngineDep) -> FireworksSandbox:
    """Raises StatusError for another account than that of the key."""
    if account != engine.account:
        raise StatusError(PERMISSION_DENIED, f"You have no access to the account {account}.")
    return engine


AccountDep = Annotated[FireworksSandbox, Depends(_of_account)]


def page(request: Request, key: str, items: Sequence[Item], shown: Callable[[Item], dict[str, Any]]) -> dict[str, Any]:
    """The page that `pageSize` and `pageToken` ask for, with each item as `shown`."""
    query = request.query_params
    try:
        size = min(int(query.get("pageSize") or DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)
        start = int((query.get("pageToken") or "token-0").removeprefix("token-"))
    except ValueError:
        raise StatusError(INVALID_ARGUMENT, "pageSize or pageToken is invalid.") from None
    end = start + max(1, size)
    token = f"token-{end}" if end < len(items) else ""
    return {key: [shown(item) for item in items[start:end]], "nextPageToken": token, "totalSize": len(items)}


def time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


async def json_object(request: Request) -> dict[str, Any]:
    """The body. Raises StatusError if it is no object."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise StatusError(INVALID_ARGUMENT, "The body is no JSON object.")
    return body


def check_fields(body: dict[str, Any], known: frozenset[str]) -> None:
    """Raises StatusError for a field that the wire does not know."""
    for name in body:
        if name not in known:
            raise StatusError(INVALID_ARGUMENT, f"proto: (line 1:2): unknown field {name!r}")
