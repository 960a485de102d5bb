"""A project's events as they happen, as server-sent events: for those who cannot be called, such as a laptop.

An event's id is made before its transaction ends, so a later one may be seen first. Therefore each look goes back a
little, and an event may come twice after a client has connected again.
"""

import signal
from collections.abc import AsyncIterator
from datetime import datetime

import anyio
from fastapi.responses import StreamingResponse
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.row_security import narrow
from shared.db.times import utc_now
from shared.errors import Forbidden, Unauthorized
from shared.projects import callers
from shared.webhooks.deliveries import Filter
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import WebhookEventPublic

MEDIA_TYPE = "text/event-stream"
LOOK_EVERY = 0.5
KEEP_ALIVE_EVERY = 15.0
AT_ONCE = 500
ALIVE = b": alive\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def follow(request: Request, wanted: Filter, since: datetime | None) -> StreamingResponse:
    """The wanted events of the project whose key the request came with, from now on or from a time on."""
    view = _View(secret_of(request), wanted, since - COMMIT_WINDOW if since else utc_now())
    return StreamingResponse(_events(view), media_type=MEDIA_TYPE, headers=HEADERS)


def secret_of(request: Request) -> str:
    """The secret with which a request has come in."""
    return request.headers["authorization"].split(" ", 1)[1]


async def _events(view: "_View") -> AsyncIterator[bytes]:
    """It ends when the key is not good any more (each look asks whose it is), and when the server stops."""
    quiet = 0.0
    yield ALIVE
    while not is_stopping():
        try:
            new = await run_in_threadpool(view.look)
        except (Unauthorized, Forbidden):
            return
        for event in new:
            yield f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()
        quiet = 0.0 if new else quiet + LOOK_EVERY
        if quiet >= KEEP_ALIVE_EVERY:
            yield ALIVE
            quiet = 0.0
        await anyio.sleep(LOOK_EVERY if len(new) < AT_ONCE else 0)


def is_stopping() -> bool:
    """Uvicorn tells only itself: it waits until all answers have ended, and this one would never."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))


class _View:
    """What one who follows has seen of a project's events: all before the id `_from`, and those in `_seen`."""

    def __init__(self, secret: str, wanted: Filter, since: datetime) -> None:
        self._secret = secret
        self._wanted = wanted.conditions()
        self._from = first_id(WebhookEvent.id_prefix, since)
        self._seen: set[str] = set()

    def look(self) -> list[WebhookEventPublic]:
        """At most `AT_ONCE` events that have not been seen, the oldest first."""
        settled = first_id(WebhookEvent.id_prefix, utc_now() - COMMIT_WINDOW)
        with transaction() as session:
            caller = callers.authenticate(session, self._secret)
            caller.check("webhooks:read")
            project_id = caller.project_id
            narrow(session, project_id)
            query = select(WebhookEvent.id).where(WebhookEvent.project_id == project_id, *self._wanted)
            query = query.where(WebhookEvent.id >= self._from)
            ids = session.exec(query.order_by(WebhookEvent.id).limit(len(self._seen) + AT_ONCE)).all()
            unseen = [id for id in ids if id not in self._seen][:AT_ONCE]
            new = session.exec(select(WebhookEvent).where(col(WebhookEvent.id).in_(unseen)).order_by(WebhookEvent.id))
            shown = [WebhookEventPublic.of(event) for event in new]
        self._seen.update(unseen)
        self._from = max(self._from, settled if len(unseen) < AT_ONCE else min(settled, unseen[-1]))
        self._seen = {id for id in self._seen if id >= self._from}
        return shown
