"""`python -m sandbox`: starts the server, logs its address, and deletes its files when it stops, unless `--folder`."""

import sqlite3
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from sandbox.app import create_app
from sandbox.datasets import tokens
from sandbox.engine import Sandbox
from sandbox.faults.connection import Connection
from sandbox.kept import Kept
from sandbox.settings import Settings, read
from sandbox.wires.registry import WIRES
from wire_server.process import listening


def main() -> None:
    listening.log_plainly()
    listening.end_on_signals()
    settings = read(sys.argv[1:])
    if settings.wire not in WIRES:
        sys.exit(f"--wire (SANDBOX_WIRE) must be one of {', '.join(WIRES)}, not {settings.wire}.")
    engine = WIRES[settings.wire].engine
    tokens.load()
    with TemporaryDirectory(prefix="sandbox-") as temporary, listening.open_port("sandbox", settings) as listener:
        state = (
            _kept_in(Path(settings.folder), engine, settings) if settings.folder else engine(settings, Path(temporary))
        )
        listening.serve("sandbox", create_app(state), listener, Connection)


def _kept_in(folder: Path, engine: type[Sandbox], settings: Settings) -> Sandbox:
    """The state of this folder, which is saved there before each answer."""
    state = engine(settings, folder / "files")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.folder.mkdir(mode=0o700, exist_ok=True)
        kept = Kept(folder / "state.db")
        kept.read(state)
    except OSError as error:
        sys.exit(f"The sandbox cannot use {folder} (SANDBOX_FOLDER): {error.strerror}.")
    except (sqlite3.Error, msgspec.DecodeError, TypeError) as error:
        sys.exit(f"The sandbox cannot read {folder / 'state.db'}: {error}. Remove {folder} to start with nothing.")
    state.keep = lambda: kept.save(state)
    return state


if __name__ == "__main__":
    main()
