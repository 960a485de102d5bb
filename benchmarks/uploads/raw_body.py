"""The least that a server can do with an upload: write its body to the disk. `api`'s uploads are compared with it."""

import os
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
FOLDER = "RAW_BODY_FOLDER"


async def answer(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """200 once all of it is on the disk, in a new file as the api's are; then it is removed."""
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
