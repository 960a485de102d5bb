"""An ASGI app that only writes the request body to disk: the lower limit that the api's uploads are compared with."""

import os
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
FOLDER = "RAW_BODY_FOLDER"


async def answer(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """Answers 200 once the body is on disk, in a new file as in the api; then deletes it."""
    if scope["type"] != "http":
        return
    with tempfile.NamedTemporaryFile(dir=os.environ[FOLDER], buffering=0) as file:
        more = True
        while more:
            event = await receive()
            file.write(event.get("body", b""))
            more = event.get("more_body", False)
        os.fsync(file.fileno())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def create_app() -> Callable[..., Awaitable[None]]:
    return answer
