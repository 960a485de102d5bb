"""Counts requests that fail and steps that are lost while every server is restarted (SIGTERM) under load.

`python -m benchmarks.restarts [--restarts 20] [--jobs 200] [--drain 5] [--processes 1]`

Two apis stand behind a proxy. With `--drain` seconds of `TUNERY_DRAIN_TIME` it asks each for /readyz, as a balancer
does; with 0 it learns of a stop as nginx does, by a connection that fails. Clients that never retry read, create files
and jobs, and follow a stream through it. One of the apis, worker, sender and beat are restarted together, again and
again, while the jobs of five projects run.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from benchmarks.chaos.__main__ import SETTINGS as OF_CHAOS
from benchmarks.chaos.__main__ import Chaos
from benchmarks.chaos.havoc import Havoc, Provider
from benchmarks.restarts.clients import WORK, Client, CountingListener, Follower, SteadyTeam, troubles
from benchmarks.restarts.proxy import Proxy
from benchmarks.stack import Measured, measured_stack, print_table
from cli.local import commands
from cli.processes import ports
from cli.processes.child import Program
from cli.processes.ports import LOCALHOST
from cli.processes.supervisor import Tier
from shared.database import get_engine

Row = tuple[str, str, str]
APIS = ["api", "api2"]
OTHERS = ["worker", "sender", "beat"]
# A step that was cut off would be done again after its lease; on a busy machine a short one runs out by itself.
AS_IN_PRODUCTION = {"TUNERY_PROVIDER__TIMEOUT", "TUNERY_LEASE", "TUNERY_CREATE_GRACE"}
SETTINGS = {name: value for name, value in OF_CHAOS.items() if name not in AS_IN_PRODUCTION}
STOP_SECONDS = 40  # as docs/deploying.md says
START_SECONDS = 300
PATIENCE_SECONDS = 1800


class Calm(Provider):
    """Fails nothing."""

    def fail(self) -> None:
        pass


class Restarts(Havoc):
    """Restarts an api, the worker, the sender and the beat together, politely, instead of killing them."""

    def __init__(self, stack: Measured, rounds: int) -> None:
        self.stack = stack
        self.killed: Counter[str] = Counter()
        self.by_force: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}
        self.over = threading.Event()
        self._done, self._rounds = 0, rounds

    @property
    def is_done(self) -> bool:
        return self.over.is_set()

    def progress(self) -> float:
        return self._done / self._rounds

    def go_on(self) -> None:
        if not self.is_done:
            self._restart([*OTHERS, APIS[self._done % len(APIS)]])
            self._done += 1
            if self._done == self._rounds:
                self.over.set()

    def _restart(self, names: list[str]) -> None:
        members = {name: self.stack.supervisor.members[name] for name in names}
        asked_at = time.monotonic()
        for _, child in members.values():
            child.ask_to_stop()
        new = {}
        for name, (tier, child) in members.items():
            child.stop(asked_at + STOP_SECONDS - time.monotonic())
            self.slowest[name] = round(max(self.slowest.get(name, 0.0), time.monotonic() - asked_at), 1)
            self.by_force[name] += child.process.returncode == -signal.SIGKILL
            new[name] = self.stack.supervisor.start(child.program, tier)
        for name, child in new.items():
            child.wait_until(partial(_listens, child.program), START_SECONDS)
            self.killed[name] += 1


def _listens(program: Program) -> bool:
    """The api at its port, the others where they answer for their health, once they are ready."""
    if program.name in APIS:
        return ports.is_listening(int(program.command[program.command.index("--port") + 1]))
    return ports.is_listening(int(dict(program.environ or {})["TUNERY_HEALTH_ADDRESS"].rpartition(":")[2]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=20, help="of each server; of the two apis together")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--drain", type=float, default=5, help="0: the proxy does not ask whether an api is ready")
    parser.add_argument("--processes", type=int, default=1, help="of each api")
    wanted = parser.parse_args()
    with measured_stack(**SETTINGS) as stack, ports.held() as second, ports.held() as front:
        first = urlsplit(stack.base_url).port or 0
        for name, port in zip(APIS, (first, second), strict=True):
            _start_api(stack, name, port, wanted.drain, wanted.processes)
        proxy = Proxy([first, second], asking=wanted.drain > 0)
        threading.Thread(target=lambda: asyncio.run(proxy.serve(front)), daemon=True).start()
        through = replace(stack, base_url=f"http://{LOCALHOST}:{front}/v1")
        rows = _measure(through, proxy, Restarts(through, wanted.restarts), wanted.jobs)
    print_table(rows)
    sys.exit(any(target == "0" != measured for _, target, measured in rows))


def _start_api(stack: Measured, name: str, port: int, drain: float, processes: int) -> None:
    """As `./tunery api` does; the one that `measured_stack` has started gives way."""
    _, first = stack.supervisor.members["api"]
    if name == "api":
        first.stop()
    environ = {**stack.environ, "TUNERY_DRAIN_TIME": str(drain), "WEB_CONCURRENCY": str(processes)}
    log = first.program.log.with_name(f"{name}.log")
    program = Program(name, commands.api(LOCALHOST, port), log, environ, first.program.cwd)
    stack.supervisor.start(program, Tier.SERVERS).wait_until(partial(_listens, program), START_SECONDS)


def _measure(stack: Measured, proxy: Proxy, restarts: Restarts, jobs: int) -> list[Row]:
    os.environ.update(stack.environ)
    over = threading.Event()
    clients = [Client(stack) for _ in WORK]
    with ExitStack() as closing, ThreadPoolExecutor(len(WORK) + 1) as pool:
        listeners = [closing.enter_context(CountingListener()) for _ in range(5)]
        teams = [
            SteadyTeam(stack, f"team {number}", listener, restarts.progress)
            for number, listener in enumerate(listeners)
        ]
        get_engine().dispose()
        for team in teams:
            team.prepare()
        follower = Follower(stack, teams[0].openai.api_key)
        asking = [pool.submit(follower.follow, over)]
        follower.is_following.wait(START_SECONDS)
        asking += [pool.submit(client.go_on, restarts.over, *each) for client, each in zip(clients, WORK, strict=True)]
        chaos = Chaos(stack, list(teams), Calm(stack, is_slow=False), restarts, PATIENCE_SECONDS)
        took = chaos.go_on(jobs)
        chaos.wait_for_webhooks()
        unchecked = _unchecked(stack)
        over.set()
        for each in asking:
            each.result()
        found = chaos.findings()
    failures = [client.failed for client in (*clients, follower)] + [team.failed for team in teams]
    failed = sum(failures, Counter[str]())
    logs = {
        name: troubles(child.program.log)
        for name, (_, child) in stack.supervisor.members.items()
        if name in (*APIS, *OTHERS)
    }
    print(json.dumps({"failed": failed, "retried by the proxy": proxy.retried, "stopped in s": restarts.slowest}))
    print(json.dumps({name: log for name, log in logs.items() if log}))
    answers = sum(client.answers for client in clients)
    arrivals = sum((listener.arrivals for listener in listeners), Counter[str]())
    return [
        (f"restarted, while {jobs} jobs ran {took:.0f} s", "-", str(restarts)),
        ("servers that were killed, as they did not stop", "0", str(restarts.by_force.total())),
        (f"requests that failed, of {answers + jobs + follower.answers:,}", "0", str(failed.total())),
        (f"events that {follower.answers} streams left out", "0", str(len(listeners[0].ids.keys() - follower.seen))),
        ("files that were not checked", "0", str(unchecked)),
        (f"webhooks that arrived twice, of {len(arrivals):,}", "0", str(sum(n > 1 for n in arrivals.values()))),
        *found,
    ]


def _unchecked(stack: Measured) -> int:
    """The files whose check does not end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        waiting = sum(file.status == "uploaded" for file in stack.openai.files.list(limit=100))
        if not waiting or time.monotonic() > deadline:
            return waiting
        time.sleep(1)


if __name__ == "__main__":
    main()
