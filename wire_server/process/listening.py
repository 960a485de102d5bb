"""Opens the port and serves an app until a signal comes."""

import logging
import signal
import socket
import sys
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wire_server.process.settings import Settings

SHUTDOWN_SECONDS = 1
"""How long requests may go on after a signal: an answer that takes minutes must not keep the process alive."""
KEEP_ALIVE_SECONDS = 75  # longer than clients keep an idle connection


def log_plainly() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def end_on_signals() -> None:
    """Ends the process with 0 on SIGTERM and Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def open_port(program: str, settings: Settings) -> socket.socket:
    """The listening socket. Exits with a sentence if the address cannot be had."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        names = f"({program.upper()}_HOST, {program.upper()}_PORT)"
        sys.exit(f"Nobody can listen at {settings.host}:{settings.port} {names}: {reason}.")


def serve(
    program: str,
    app: ASGIApp,
    listener: socket.socket,
    protocol: type[HttpToolsProtocol] = HttpToolsProtocol,
    *,
    lifespan: bool = False,
) -> None:
    host, port = listener.getsockname()[:2]
    logging.getLogger(program).info("listening on http://%s:%d", host, port)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on" if lifespan else "off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _exit(_: int, __: FrameType | None) -> None:
    sys.exit(0)  # uvicorn raises the signal again after its shutdown, which would end the process by signal
