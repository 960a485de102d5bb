"""What a running `tunery up` keeps in its state folder for the other commands of the same checkout.

`env` has the variables of a client, for a shell to read; `settings.json` has the servers' settings. A command that was
started as `./tunery` falls back to them; without a running `up` it falls back to the file `.env` of the checkout.
"""

import fcntl
import os
import shlex
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from cli import secret_files

ENV_FILE = Path(__file__).resolve().parents[1] / ".env"
ENV, SETTINGS, LOCK, PORTS = "env", "settings.json", "lock", "ports.json"
HEALTH_OF = "health of "  # before a server's name, in the file of ports
OF_UP = "the running `./tunery up`"
OF_THE_COMMAND = ("TUNERY_STATE", "TUNERY_PG_BIN", "TUNERY_VALKEY", "TUNERY_WEBHOOK_URL")
OF_SERVERS = ("TUNERY_", "AWS_", "DATABASE_URL", "REDIS_URL", "OTEL_", "SENTRY_")
NUMBERS_OF_SERVERS = ("HOST", "PORT", "WEB_CONCURRENCY", "WORKER_CONCURRENCY", "SENDER_CONCURRENCY")


@dataclass(frozen=True)
class Filled:
    """Which variables were not in the environment, and where they were found: `OF_UP`, `.env`, or nowhere."""

    source: str = ""
    names: frozenset[str] = frozenset()


def keep(state: Path, environ: Mapping[str, str]) -> None:
    """Write the settings of the servers that have started."""
    settings = {
        name: value
        for name, value in environ.items()
        if name.startswith(OF_SERVERS) and name not in OF_THE_COMMAND and value
    }
    secret_files.write_json(state / SETTINGS, settings)


def forget(state: Path) -> None:
    for name in (ENV, SETTINGS):
        (state / name).unlink(missing_ok=True)


def is_up(state: Path) -> bool:
    """Whether an `up` holds this folder; one that was killed does not, though its files are still there."""
    if not (state / SETTINGS).exists():
        return False
    try:
        with (state / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def client_variables() -> dict[str, str]:
    """The address and the keys of the running `up`; nothing if none runs in this checkout."""
    state = _state()
    if state is None or not is_up(state):
        return {}
    lines = (state / ENV).read_text().splitlines() if (state / ENV).exists() else []
    words = [shlex.split(line) for line in lines if line.startswith("export ")]
    return dict(word.split("=", 1) for _, word in words)


def health_addresses() -> dict[str, str]:
    """Where the servers of the running `up` answer /metrics, by their names."""
    ports = secret_files.read_json(state / PORTS) if (state := _state()) else {}
    found = {name.removeprefix(HEALTH_OF): port for name, port in ports.items() if name.startswith(HEALTH_OF)}
    return {name: f"127.0.0.1:{port}" for name, port in found.items()}


def fill(environ: MutableMapping[str, str], env_file: Path = ENV_FILE) -> Filled:
    """Add the settings that are not in the environment, all of one source: mixed, they would fit no installation."""
    state = _state()
    if state is None:
        return Filled()
    if is_up(state):
        found, source = (
            {str(name): str(value) for name, value in secret_files.read_json(state / SETTINGS).items()},
            OF_UP,
        )
    else:
        found, source = _of_env_file(env_file), ".env"
    if environ.get("DATABASE_URL") not in {None, "", found.get("DATABASE_URL")}:
        return Filled()  # the environment describes another installation
    missing = {name: value for name, value in found.items() if not environ.get(name)}
    environ.update(missing)
    return Filled(source, frozenset(missing)) if missing else Filled()


def _of_env_file(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    from pydantic_settings import BaseSettings, DotEnvSettingsSource

    found = DotEnvSettingsSource(BaseSettings, env_file=file, case_sensitive=True).env_vars
    ours = OF_SERVERS + NUMBERS_OF_SERVERS
    return {name: value for name, value in found.items() if value and name.startswith(ours)}


def _state() -> Path | None:
    """The state folder of a command that was started as `./tunery`; a container has none."""
    folder = os.environ.get("TUNERY_STATE")
    return Path(folder) if folder else None
