"""`python -m sandbox`: starts the server, logs its address, and deletes its files when it stops, unless `--folder`."""

import logging
import signal
import socket
import sqlite3
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import msgspec
import uvicorn

from sandbox.app import create_app
from sandbox.datasets import tokens
from sandbox.faults.connection import Connection
from sandbox.kept import Store
from sandbox.settings import Settings, read
from sandbox.state import State

SHUTDOWN_SECONDS = 1
KEEP_ALIVE_SECONDS = 75  # longer than clients keep an idle connection
"""How long requests may go on after a signal: an armed delay of minutes must not keep the process alive."""

log = logging.getLogger("sandbox")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    settings = read(sys.argv[1:])
    tokens.load()
    with TemporaryDirectory(prefix="sandbox-") as temporary, _listen(settings) as listener:
        state = _kept_in(Path(settings.folder), settings) if settings.folder else State(settings, Path(temporary))
        host, port = listener.getsockname()[:2]
        log.info("listening on http://%s:%d", host, port)
        serve(state, listener)


def _kept_in(folder: Path, settings: Settings) -> State:
    """The state of this folder, which is saved there before each answer."""
    state = State(settings, folder / "files")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.folder.mkdir(mode=0o700, exist_ok=True)
        store = Store(folder / "state.db")
        store.read(state)
    except OSError as error:
        sys.exit(f"The sandbox cannot use {folder} (SANDBOX_FOLDER): {error.strerror}.")
    except (sqlite3.Error, msgspec.DecodeError, TypeError) as error:
        sys.exit(f"The sandbox cannot read {folder / 'state.db'}: {error}. Remove {folder} to start with nothing.")
    state.save = lambda: store.save(state)
    return state


def serve(state: State, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(state),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=512)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        sys.exit(f"Nobody can listen at {settings.host}:{settings.port} (SANDBOX_HOST, SANDBOX_PORT): {reason}.")


def _exit(_: int, __: FrameType | None) -> None:
    sys.exit(0)  # uvicorn raises the signal again after its shutdown, which would end the process by signal


if __name__ == "__main__":
    main()
