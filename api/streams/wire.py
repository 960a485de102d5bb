"""What all streams of server-sent events have in common: headers, intervals, and how many may be open at once."""

from collections import Counter
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.auth.deps import CHOSEN_PROJECT, address_of
from api.http.errors import service_error
from shared.errors import RateLimited
from shared.projects.callers import Caller, Presented
from shared.settings import get_settings

MEDIA_TYPE = "text/event-stream"
POLL_INTERVAL_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0
KEEP_ALIVE = b": alive\n\n"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
RETRY_AFTER_SECONDS = 15  # nobody knows when a stream ends; a client that asks this often costs nothing
_open: Counter[str] = Counter()  # streams of this process, by the id of their key and of their project


class EventStream(StreamingResponse):
    """A stream of a caller. Beyond a limit of open streams it is answered with 429 instead."""

    def __init__(self, blocks: AsyncIterator[bytes], caller: Caller) -> None:
        super().__init__(blocks, media_type=MEDIA_TYPE, headers=HEADERS)
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts where the stream is sent, since what counts it must also see its end, whoever ends it."""
        owners = (self._caller.key_id, self._caller.project_id)
        if refusal := _refusal(*owners):
            await service_error(Request(scope), refusal)(scope, receive, send)
            return
        _open.update(owners)
        try:
            await super().__call__(scope, receive, send)
        finally:
            _open.subtract(owners)
            for owner in owners:
                if not _open[owner]:
                    del _open[owner]


def _refusal(key_id: str, project_id: str) -> RateLimited | None:
    limits = get_settings().rate_limits
    for owner, id, limit in (
        ("API key", key_id, limits.streams_per_key),
        ("project", project_id, limits.streams_per_project),
    ):
        if limit is not None and _open[id] >= limit:
            return RateLimited(
                f"The {owner} has {_open[id]} open streams and may have {limit}: close one, or follow the whole "
                "project on one stream of /v1/webhook_events",
                retry_after=RETRY_AFTER_SECONDS,
                code="too_many_streams",
            )
    return None


def presented_by(request: Request) -> Presented:
    """Return the API key of an authenticated request."""
    secret = request.headers["authorization"].split(" ", 1)[1]
    return Presented(secret, address_of(request), request.scope.get(CHOSEN_PROJECT))
