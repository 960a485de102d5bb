"""What the servers of `up` and of the demo find in their environment, and the folder that is theirs alone."""

import base64
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli import running_up, secret_files
from cli.failure import Failure
from cli.local import commands
from cli.local.trainer import LocalTrainer
from cli.processes.ports import LOCALHOST

PROVIDER = ("TUNERY_PROVIDER__BASE_URL", "TUNERY_PROVIDER__API_KEY")
FOR_CLIENTS = ("OPENAI_",)  # a laptop that runs client and server must not call itself in a circle
OF_OTHERS = ("DATABASE_URL", "REDIS_URL", "OTEL_", "SENTRY_", "WEB_CONCURRENCY")
FOR_DEPLOYMENTS = ("TUNERY_", "SANDBOX_", "TRAINER_", *OF_OTHERS)
DEFAULTS = {
    "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',  # receivers on this machine
    "TUNERY_LOG_FORMAT": "console",
}


@dataclass(frozen=True)
class StackOptions:
    """What `running` starts. `settings` are defaults of the servers' environment; the caller's variables override them.

    When it is `isolated` the caller's variables do not count: no other database, and no provider that costs money.
    """

    state: Path
    isolated: bool = False
    durable: bool = True
    port: int = 0
    webhook_url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    stop_patience: float = 10
    trainer: LocalTrainer | None = None


def environment_for(options: StackOptions) -> dict[str, str]:
    """The caller's variables but a client's; ours where there are none."""
    hidden = FOR_CLIENTS + (FOR_DEPLOYMENTS if options.isolated else ())
    theirs = {name: value for name, value in commands.environment().items() if not name.startswith(hidden)}
    ours = {
        "TUNERY_STORAGE": str(options.state / "files"),
        "TUNERY_SECRET_KEYS": f'["{secret_files.find_or_make(options.state / "secret_key", _new_key)}"]',
        **DEFAULTS,
        **options.settings,
    }
    if not (theirs.get("WEB_CONCURRENCY") or "1").isdecimal():  # read by uvicorn, which would show a traceback
        raise Failure("WEB_CONCURRENCY must be a whole number from 1: how many processes the api has.")
    if options.webhook_url:
        theirs["TUNERY_WEBHOOK_URL"] = options.webhook_url
    return ours | theirs | without_proxy()


def _new_key() -> str:
    """As Fernet wants it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def without_proxy() -> dict[str, str]:
    """A company's proxy cannot reach the servers of this machine."""
    given = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    hosts = ",".join(filter(None, [given, LOCALHOST, "localhost"]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def names_provider(environ: Mapping[str, str]) -> bool:
    """Whether there is one to use instead of the sandbox."""
    given = [name for name in PROVIDER if environ.get(name)]
    if len(given) == 1:
        raise Failure(f"{given[0]} is set alone: set {' and '.join(PROVIDER)} for a provider, neither for the sandbox.")
    return bool(given)


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Makes the state folder ours, and ours alone for the length of the block."""
    if state.exists() and not os.access(state, os.W_OK | os.X_OK):
        raise Failure(f"{state} belongs to another user. TUNERY_STATE names another folder for the state.")
    state.mkdir(parents=True, exist_ok=True)
    with (state / running_up.LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Failure(
                f"Tunery runs in {state} already, as process {lock.read().strip()}. "
                "Stop it first, or name another folder in TUNERY_STATE."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        shutil.rmtree(state / "logs", ignore_errors=True)
        running_up.forget(state)  # what a run that was killed has left
        yield
