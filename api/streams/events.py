"""Streams a project's webhook events as server-sent events, for clients that cannot receive webhooks, such as a laptop.

An event's id is made before its transaction commits, so a later event may become visible first. Each poll therefore
reads the last seconds again, and a client that reconnects may receive an event twice.
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
from shared.db.row_security import limit_to_project
from shared.db.times import utc_now
from shared.errors import Forbidden, Unauthorized
from shared.projects import callers
from shared.webhooks.deliveries import EventFilter
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import WebhookEventPublic

MEDIA_TYPE = "text/event-stream"
POLL_INTERVAL_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0
MAX_EVENTS_PER_POLL = 500
KEEP_ALIVE = b": alive\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def follow(request: Request, wanted: EventFilter, since: datetime | None) -> StreamingResponse:
    """Stream the matching events of the caller's project, from `since` or from now on."""
    cursor = _Cursor(secret_of(request), wanted, since - COMMIT_WINDOW if since else utc_now())
    return StreamingResponse(_events(cursor), media_type=MEDIA_TYPE, headers=HEADERS)


def secret_of(request: Request) -> str:
    """Return the API key of an authenticated request."""
    return request.headers["authorization"].split(" ", 1)[1]


async def _events(cursor: "_Cursor") -> AsyncIterator[bytes]:
    """Yield blocks until the server stops or the key is no longer valid, which each poll checks."""
    idle_seconds = 0.0
    yield KEEP_ALIVE
    while not is_stopping():
        try:
            new = await run_in_threadpool(cursor.poll)
        except (Unauthorized, Forbidden):
            return
        for event in new:
            yield f"id: {event.id}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()
        idle_seconds = 0.0 if new else idle_seconds + POLL_INTERVAL_SECONDS
        if idle_seconds >= KEEP_ALIVE_SECONDS:
            yield KEEP_ALIVE
            idle_seconds = 0.0
        await anyio.sleep(POLL_INTERVAL_SECONDS if len(new) < MAX_EVENTS_PER_POLL else 0)


def is_stopping() -> bool:
    """Whether uvicorn is shutting down. It waits for all responses to end but does not tell the app, so ask it."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))


class _Cursor:
    """How far one client has read: all events before the id `_from`, and those in `_seen`."""

    def __init__(self, secret: str, wanted: EventFilter, since: datetime) -> None:
        self._secret = secret
        self._wanted = wanted.conditions()
        self._from = first_id(WebhookEvent.id_prefix, since)
        self._seen: set[str] = set()

    def poll(self) -> list[WebhookEventPublic]:
        """Return up to `MAX_EVENTS_PER_POLL` new events, oldest first. Raises `Unauthorized` and `Forbidden`."""
        settled = first_id(WebhookEvent.id_prefix, utc_now() - COMMIT_WINDOW)
        with transaction() as session:
            caller = callers.authenticate(session, self._secret)
            caller.check("webhooks:read")
            project_id = caller.project_id
            limit_to_project(session, project_id)
            query = select(WebhookEvent.id).where(WebhookEvent.project_id == project_id, *self._wanted)
            query = query.where(WebhookEvent.id >= self._from)
            ids = session.exec(query.order_by(WebhookEvent.id).limit(len(self._seen) + MAX_EVENTS_PER_POLL)).all()
            unseen = [id for id in ids if id not in self._seen][:MAX_EVENTS_PER_POLL]
            new = session.exec(select(WebhookEvent).where(col(WebhookEvent.id).in_(unseen)).order_by(WebhookEvent.id))
            shown = [WebhookEventPublic.of(event) for event in new]
        self._seen.update(unseen)
        self._from = max(self._from, settled if len(unseen) < MAX_EVENTS_PER_POLL else min(settled, unseen[-1]))
        self._seen = {id for id in self._seen if id >= self._from}
        return shown
