"""The least that a server can do with an upload: write its body to the disk. `api`'s uploads are compared with it."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Event = dict[str, Any]


async def app(scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
    """Answers 200 once all of it is on the disk, as the api does."""
    if scope["type"] != "http":
        return
    with Path(os.environ["RAW_BODY_FILE"]).open("wb", buffering=0) as file:
        more = True
        while more:
            event = await receive()
            file.write(event.get("body", b""))
            more = event.get("more_body", False)
        os.fsync(file.fileno())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def create_app() -> Callable[..., Awaitable[None]]:
    return app
