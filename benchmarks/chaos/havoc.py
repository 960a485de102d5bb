"""Causes the failures of `benchmarks.chaos`: kills workers, Redis and Postgres, and arms faults of the provider."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import httpx2
import psutil

from benchmarks.stack import Measured
from cli.local import commands
from cli.processes.child import Program
from cli.processes.supervisor import Tier

WORKERS = 3
PROVIDER_TIMEOUT = 2  # seconds
FAULT_RATE = 0.2  # share of the calls that fail
KINDS: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "500 before the effect": {"status": 500},
    "500 after the effect": {"status": 500, "after_effect": True},
    "timeout before the effect": {"delay": PROVIDER_TIMEOUT + 1},
    "timeout after the effect": {"delay_after": PROVIDER_TIMEOUT + 1},
    "dropped before the effect": {"drop": "before"},
    "dropped after the effect": {"drop": "after"},
}
WEIGHTS = [1, 3, 3, 3, 3, 3, 3]  # few 429s: after each one the worker backs off from the whole credential


class Provider:
    """Controls the sandbox's faults, and reads its files, jobs and call counts."""

    def __init__(self, stack: Measured, *, is_slow: bool) -> None:
        address = stack.sandbox_url.removesuffix("/v1")
        self.http = httpx2.Client(
            base_url=address, headers={"authorization": f"Bearer {stack.sandbox_key}"}, timeout=60
        )
        self.armed: Counter[str] = Counter()
        self._is_slow = is_slow
        self._calls = self._owed = 0.0
        if is_slow:
            self.http.post("/sandbox/list_lag", json={"seconds": 3}).raise_for_status()

    def calls(self, which: str = "") -> int:
        made: dict[str, int] = self.http.get("/sandbox/requests").json()["requests"]
        return sum(number for call, number in made.items() if call.startswith(which))

    def fail(self) -> None:
        """Arms faults in proportion to the calls since the last time; they hit the next calls."""
        calls = self.calls("POST /v1/fine_tuning/jobs" if self._is_slow else "")
        self._owed += (calls - self._calls) * (0.1 if self._is_slow else FAULT_RATE)
        self._calls = calls
        for _ in range(min(int(self._owed), 40)):
            self._owed -= 1
            kind = "timeout before the effect" if self._is_slow else random.choices(list(KINDS), WEIGHTS)[0]
            call = ("POST", "/v1/fine_tuning/jobs") if self._is_slow else ("*", "/v1/**")
            fault = {"method": call[0], "path": call[1], "skip": random.randrange(6), **KINDS[kind]}
            self.http.post("/sandbox/faults", json=fault).raise_for_status()
            self.armed[kind] += 1

    def recover(self) -> None:
        self.http.delete("/sandbox/faults").raise_for_status()

    def listed(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The objects of all pages."""
        found: list[dict[str, Any]] = []
        while True:
            after = {"after": found[-1]["id"]} if found else {}
            page = self.http.get(path, params={**query, **after}).json()
            found += page["data"]
            if not page.get("has_more"):
                return found


class Havoc:
    """Kills each kind of server at its own interval, and starts it again."""

    def __init__(self, stack: Measured, *, redis: int, postgres: int) -> None:
        self.stack = stack
        self.killed: Counter[str] = Counter()
        self._wanted = {"redis": redis, "postgres": postgres}
        command, (_, first) = commands.worker(concurrency=4), stack.supervisor.members["worker"]
        self._workers = ["worker", *[f"worker{number}" for number in range(2, WORKERS + 1)]]
        for name in self._workers[1:]:
            log = first.program.log.with_name(f"{name}.log")
            stack.supervisor.start(Program(name, command, log, first.program.environ, first.program.cwd), Tier.SERVERS)
        self._ready_at: dict[str, float] = {}
        now = time.monotonic()
        self._times = {"worker": _every(now, 2), "redis": _every(now, 12), "postgres": _every(now + 6, 12)}
        self._due = {kind: times() for kind, times in self._times.items()}

    def __str__(self) -> str:
        return ", ".join(f"{kind} {number} times" for kind, number in self.killed.items())

    @property
    def is_done(self) -> bool:
        return all(self.killed[kind] >= wanted for kind, wanted in self._wanted.items())

    def go_on(self) -> None:
        """Kills what is due now."""
        self._watch()
        for kind, due in self._due.items():
            if time.monotonic() >= due and self.killed[kind] < self._wanted.get(kind, 1 << 30):
                self._due[kind] = self._times[kind]()
                match kind:
                    case "worker":
                        self._kill_worker()
                    case "redis":
                        self._kill("valkey")
                        self.killed[kind] += 1
                    case _:
                        self._kill("postgres", signal.SIGQUIT)  # Postgres's «immediate» shutdown
                        self.killed[kind] += 1

    def _kill_worker(self) -> None:
        """Kills the oldest worker that has done some work, unless it is the only one that is ready."""
        ready = [(since, name) for name, since in self._ready_at.items() if self._has_worked(name, since)]
        if ready and len(self._ready_at) > 1:
            name = min(ready)[1]
            del self._ready_at[name]
            self._kill(name)
            self.killed["worker"] += 1

    def _has_worked(self, name: str, since: float) -> bool:
        spent = 0.0
        for child in self._children(name):
            with suppress(psutil.NoSuchProcess):
                spent += child.cpu_times().user
        return spent > 0.3 or time.monotonic() > since + 10

    def _children(self, name: str) -> list[psutil.Process]:
        try:
            return psutil.Process(self.stack.supervisor.members[name][1].pid).children()
        except psutil.NoSuchProcess:
            return []

    def _watch(self) -> None:
        """Notes since when each worker is ready, that is, has child processes."""
        for name in self._workers:
            if len(self._children(name)) > 1:
                self._ready_at.setdefault(name, time.monotonic())

    def _kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        tier, child = self.stack.supervisor.members[name]
        child.process.send_signal(how)
        if how is signal.SIGQUIT:
            child.process.wait(30)
        child.kill()
        self.stack.supervisor.start(child.program, tier)


def _every(start: float, seconds: float) -> Callable[[], float]:
    times = count(1)
    return lambda: start + seconds * next(times)
