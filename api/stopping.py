"""What happens between SIGTERM and the end: proxies take this process out, then uvicorn ends what is under way."""

import asyncio
import signal
from functools import partial
from types import FrameType

import uvicorn

from shared.settings import get_settings


class Stopping:
    """Takes SIGTERM before uvicorn, which closes its listeners at once, and passes it on after `TUNERY_DRAIN_TIME`.

    Another SIGTERM changes nothing: a service manager may send one to every process, and their parent one more. Ctrl-C
    ends the wait.
    """

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None  # None where others run the app, as tests do in a thread
        self._is_told = False

    @property
    def is_told(self) -> bool:
        """Whether proxies should send no more requests here."""
        return self._is_told or self.is_ending

    @property
    def is_ending(self) -> bool:
        """Whether uvicorn has begun to shut down. It waits for all responses to end, but does not tell the app."""
        return self._server is not None and self._server.should_exit

    def watch(self) -> None:
        """Call it in the event loop, once uvicorn has set its handlers."""
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if isinstance(server, uvicorn.Server):
            self._server = server
            signal.signal(signal.SIGTERM, partial(self._tell, asyncio.get_running_loop(), server))

    def _tell(self, loop: asyncio.AbstractEventLoop, server: uvicorn.Server, number: int, _: FrameType | None) -> None:
        if not self._is_told:
            self._is_told = True
            seconds = get_settings().drain_time.total_seconds()
            loop.call_soon_threadsafe(loop.call_later, seconds, server.handle_exit, number, None)


stopping = Stopping()  # of this process
