"""Counts requests that fail and steps that are lost while every server is restarted (SIGTERM) under load.

`python -m benchmarks.restarts [--restarts 20] [--jobs 100]`

Two apis stand behind a proxy, which does what nginx does by default: it keeps connections, sends a request to the other
api where one cannot be connected to, and again where a connection was closed before a byte of the answer, unless the
request may have changed something. Clients that never retry read and create files through it. The apis are restarted in
turn, and so are worker, sender and beat, while the jobs of five projects run.
"""

import argparse
import asyncio
import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from benchmarks.chaos.__main__ import SETTINGS, Chaos, Listener, Team
from benchmarks.chaos.havoc import Havoc, Provider
from benchmarks.stack import Measured, lines, measured_stack, print_table
from cli.local import commands
from cli.processes import ports
from cli.processes.child import Child, Program
from cli.processes.ports import LOCALHOST
from cli.processes.supervisor import Tier
from shared.database import get_engine

Kept = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Row = tuple[str, str, str]
STOP_SECONDS = 40  # as docs/deploying.md says
BOUNDARY = "restarts"
FORM = (
    (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--{BOUNDARY}\r\n'
        'content-disposition: form-data; name="file"; filename="train.jsonl"\r\n\r\n'
    ).encode()
    + lines(12)
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)


class Proxy:
    """Passes requests on to the apis in turn, over connections that it keeps."""

    def __init__(self, apis: list[int]) -> None:
        self._apis = apis
        self._next = 0
        self._kept: dict[int, list[Kept]] = {port: [] for port in apis}
        self.retried: Counter[str] = Counter()

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._client, LOCALHOST, port)
        await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head, body = await _message(reader)
                writer.write(await self._answer(head, body))
                await writer.drain()
        writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        for _ in range(2 * len(self._apis)):
            self._next = (self._next + 1) % len(self._apis)
            port = self._apis[self._next]
            kept = self._kept[port].pop() if self._kept[port] else None
            try:
                connection = kept or await asyncio.open_connection(LOCALHOST, port)
            except OSError:
                self.retried["not connected"] += 1
                continue
            try:
                return await self._ask(port, connection, head + body)
            except (OSError, asyncio.IncompleteReadError) as error:
                connection[1].close()
                if not head.startswith(b"GET ") or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                    return _gateway_error(f"{head.split(b' ')[0].decode()}, {'kept' if kept else 'new'} connection")
                self.retried["closed"] += 1
        return _gateway_error("no api")

    async def _ask(self, port: int, connection: Kept, request: bytes) -> bytes:
        reader, writer = connection
        writer.write(request)
        await writer.drain()
        head, body = await _message(reader)
        if b"connection: close" in head.lower():
            writer.close()
        else:
            self._kept[port].append(connection)
        return head + body


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(length[0]) if length else 0)


def _gateway_error(why: str) -> bytes:
    body = why.encode()
    return b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Client:
    """Asks without a retry, and counts the answers that no client should see."""

    def __init__(self, stack: Measured) -> None:
        self.key = stack.api_key
        self.port = urlsplit(stack.base_url).port or 0
        self.answers = 0
        self.failed: Counter[str] = Counter()

    def go_on(self, over: threading.Event, method: str, path: str, body: bytes | None = None) -> None:
        headers = {"authorization": f"Bearer {self.key}"}
        if body:
            headers["content-type"] = f"multipart/form-data; boundary={BOUNDARY}"
        connection = http.client.HTTPConnection(LOCALHOST, self.port, timeout=60)
        while not over.wait(0.02):
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status >= 400:
                    self.failed[f"{answer.status} {content.decode()[:80]}"] += 1
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.failed[f"{method}: {type(error).__name__}"] += 1
            self.answers += 1


class Calm(Provider):
    """Fails nothing."""

    def fail(self) -> None:
        pass


class Restarts(Havoc):
    """Restarts one server after the other, politely, instead of killing them."""

    def __init__(self, stack: Measured, names: list[str], times: int) -> None:
        self.stack = stack
        self.killed: Counter[str] = Counter()
        self.slowest = 0.0
        self._turns = [name for _ in range(times) for name in names]

    @property
    def is_done(self) -> bool:
        return not self._turns

    def go_on(self) -> None:
        if self._turns:
            self._restart(self._turns.pop(0))

    def _restart(self, name: str) -> None:
        tier, child = self.stack.supervisor.members[name]
        started = time.monotonic()
        child.stop(STOP_SECONDS)
        self.slowest = max(self.slowest, time.monotonic() - started)
        new = self.stack.supervisor.start(child.program, tier)
        if name.startswith("api"):
            port = int(child.program.command[child.program.command.index("--port") + 1])
            new.wait_until(partial(ports.is_listening, port))
        self.killed[name] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=20, help="of the apis together, and of each other server")
    parser.add_argument("--jobs", type=int, default=100)
    wanted = parser.parse_args()
    with measured_stack(**SETTINGS) as stack, ports.held() as second, ports.held() as front:
        first = urlsplit(stack.base_url).port or 0
        _start_second(stack, second)
        proxy = Proxy([first, second])
        threading.Thread(target=lambda: asyncio.run(proxy.serve(front)), daemon=True).start()
        rows = _measure(replace(stack, base_url=f"http://{LOCALHOST}:{front}/v1"), proxy, wanted.restarts, wanted.jobs)
    print_table(rows)
    sys.exit(any(target == "0" != measured for _, target, measured in rows))


def _start_second(stack: Measured, port: int) -> Child:
    _, first = stack.supervisor.members["api"]
    log = first.program.log.with_name("api2.log")
    command = commands.api(LOCALHOST, port)
    child = stack.supervisor.start(
        Program("api2", command, log, first.program.environ, first.program.cwd), Tier.SERVERS
    )
    child.wait_until(partial(ports.is_listening, port))
    return child


def _measure(stack: Measured, proxy: Proxy, times: int, jobs: int) -> list[Row]:
    os.environ.update(stack.environ)
    over = threading.Event()
    clients = [Client(stack) for _ in range(3)]
    with ExitStack() as listeners, ThreadPoolExecutor(3) as pool:
        teams = [Team(stack, f"team {n}", listeners.enter_context(Listener())) for n in range(5)]
        get_engine().dispose()
        for team in teams:
            team.prepare()
        work = [("GET", "/v1/files?limit=20", None), ("GET", "/v1/fine_tuning/jobs", None), ("POST", "/v1/files", FORM)]
        asking = [pool.submit(client.go_on, over, *each) for client, each in zip(clients, work, strict=True)]
        names = ["api", "worker", "api2", "sender", "api", "beat", "api2"]
        provider = Calm(stack, is_slow=False)
        havoc = Restarts(stack, names, -(-times // 4))
        chaos = Chaos(stack, teams, provider, havoc)
        took = chaos.go_on(jobs)
        over.set()
        for each in asking:
            each.result()
        chaos.wait_for_webhooks()
        found = chaos.findings()
    failed = sum((client.failed for client in clients), Counter[str]())
    print(json.dumps({"failed": failed, "retried by the proxy": proxy.retried, "stopped in s": havoc.slowest}))
    answers = sum(client.answers for client in clients)
    return [
        (f"restarted, while {jobs} jobs ran {took:.0f} s", "-", str(havoc)),
        (f"requests that failed, of {answers:,}", "0", str(failed.total())),
        *found,
    ]


if __name__ == "__main__":
    main()
