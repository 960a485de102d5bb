"""`tunery up`: everything on this machine, for as long as you like."""

import http.client
import json
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from cli import running_up, secret_files
from cli.local.environment import StackOptions, only_one
from cli.local.receiver import Receiver
from cli.local.stack import Stack, running
from cli.local.trainer import LocalTrainer
from cli.processes.child import Child, ProcessDied
from cli.processes.ports import LOCALHOST, PortReservations
from cli.processes.supervisor import Supervisor, Tier

RESTARTS = 5
RESTARTS_WITHIN = 60.0  # seconds
WATCH_EVERY = 0.2
START_AGAIN = "All servers were stopped. `./tunery up` starts them again; what they had stored is still there."


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: an end that was asked for."""


def run(state: Path, *, port: int, webhook_url: str | None, trainer: LocalTrainer | None = None) -> None:
    """Returns when SIGTERM asks it to end; Ctrl-C raises KeyboardInterrupt. In both cases nothing is left."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        with only_one(state), PortReservations(state / running_up.PORTS) as ports_held:
            receiver = None if webhook_url else Receiver(ports_held.claim("webhooks"), _print_event, _print_refusal)
            address = receiver.url if receiver else webhook_url
            options = StackOptions(state, port=port, webhook_url=address, trainer=trainer)
            _print("Starting …")
            with receiver or nullcontext(), running(options, ports_held) as stack:
                secret = stack.first["endpoint"]["secret"]
                if receiver:
                    receiver.secret = secret
                with _announced(stack, secret):
                    watch(stack.supervisor)
    except Terminated:
        return


@contextmanager
def _announced(stack: Stack, webhook_secret: str) -> Iterator[None]:
    """Prints how to talk to it, on stdout so that it can be piped, and has the same in the file `env` meanwhile."""
    variables = {
        "OPENAI_BASE_URL": stack.base_url,
        "OPENAI_API_KEY": stack.first["api_key"],
        "OPENAI_ADMIN_KEY": stack.first["admin_key"],
        "OPENAI_WEBHOOK_SECRET": webhook_secret,
    }
    link = _sign_in_link(stack)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    running_up.keep(stack.state, stack.environ)
    file = stack.state / running_up.ENV
    secret_files.write(file, "\n".join([*lines, f"# Docs: {stack.address}/docs", ""]))
    try:
        print(*lines, f"# Docs: {stack.address}/docs", sep="\n", flush=True)
        _print(f"Dashboard: {link}")
        _print(f"{_state_of(stack)} These lines are also in {file}, the logs in {stack.logs}. Ctrl-C stops it.")
        yield
    finally:
        running_up.forget(stack.state)
        _print("Stopping …")


def _sign_in_link(stack: Stack) -> str:
    """Return a link that signs in once, with the admin key in the first project; without Redis, that of the form."""
    connection = http.client.HTTPConnection(LOCALHOST, stack.ports_held.numbers["api"], timeout=10)
    try:
        path = f"/dashboard/sign-in-links?project_id={stack.first['project_id']}"
        connection.request("POST", path, headers={"authorization": f"Bearer {stack.first['admin_key']}"})
        path = json.loads(connection.getresponse().read())["path"]
        return f"{stack.address}{path} (signs in once, within ten minutes)"
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return f"{stack.address}/dashboard"
    finally:
        connection.close()


def _state_of(stack: Stack) -> str:
    if stack.trouble is None:
        return f"Ready, with {stack.provider}."
    return (
        f"Ready but degraded, with {stack.provider}: the broker of REDIS_URL is {stack.trouble}. Requests are "
        "answered, but no file is checked and no job starts until it answers."
    )


def watch(supervisor: Supervisor) -> NoReturn:
    """Starts a server again that has ended, unless it keeps ending; without Postgres or Valkey there is no going on."""
    restarted_at: deque[float] = deque(maxlen=RESTARTS)
    while True:
        for child in supervisor.dead():
            too_many = len(restarted_at) == RESTARTS and time.monotonic() - restarted_at[0] < RESTARTS_WITHIN
            if too_many or supervisor.tier_of(child) is Tier.STORES:
                raise ProcessDied(f"{child.last_words()}\n{START_AGAIN}")
            restarted_at.append(time.monotonic())
            _restart(supervisor, child)
        time.sleep(WATCH_EVERY)


def _restart(supervisor: Supervisor, child: Child) -> None:
    _print(f"{child.last_words()}\nIt is started again.")
    child.kill()  # what may be left of its group
    supervisor.start(child.program, supervisor.tier_of(child))


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_event(event: dict[str, Any]) -> None:
    _print(f"{_time()} webhook {event['type']} {event['data']['id']}, signature verified")


def _print_refusal(reason: str) -> None:
    _print(f"{_time()} a webhook was refused: {reason}")


def _terminate(*_: object) -> None:
    raise Terminated


def _time() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"
