"""Answers a worker's health checks: /livez, /readyz and /metrics; and logs when the scheduler has stopped.

It runs in threads beside Celery, whose process forks, so it opens connections of its own and shares no pool with tasks.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from redis import Redis
from redis.exceptions import RedisError

from shared.broker.queue import DELIVERIES, WORK
from shared.due_tables import DUE
from shared.settings import get_settings
from shared.sweeps import MAX_AGE_SECONDS

CHECK_INTERVAL_SECONDS = 10.0
log = structlog.get_logger(__name__)

_SWEEP = "select extract(epoch from now() - max(swept_at)) from sweeps"
_DUE = " union all ".join(
    f"select '{model.__tablename__}', count(*), coalesce(extract(epoch from now() - min(due_at)), 0)"
    f" from {model.__tablename__} where due_at <= now()"
    for model in DUE
)


@dataclass(frozen=True)
class Facts:
    """What `/metrics` shows.

    `sweep_age` is in seconds, None if no sweep was ever noted. `due` has by table the number of due rows, and for how
    many seconds the first has been due. `messages` counts the wake-up messages for work and for deliveries,
    by the name of the first queue.
    """

    sweep_age: float | None
    due: dict[str, tuple[int, float]]
    messages: dict[str, int]


def _sweep_age(connection: psycopg.Connection[Any]) -> float | None:
    row = connection.execute(_SWEEP).fetchone()
    return None if row is None or row[0] is None else float(row[0])


def gather() -> Facts:
    """Raises `psycopg.Error` and `RedisError`."""
    with _postgres() as connection:
        due = {table: (count, float(since)) for table, count, since in connection.execute(_DUE).fetchall()}
        age = _sweep_age(connection)
    with _redis() as redis:
        messages = {queues[0]: sum(int(redis.llen(queue)) for queue in queues) for queues in (WORK, (DELIVERIES,))}
    return Facts(age, due, messages)


def _postgres() -> psycopg.Connection[Any]:
    url = get_settings().database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    return psycopg.connect(url, connect_timeout=5, autocommit=True, options="-c statement_timeout=5000")


def _redis() -> Redis:
    return Redis.from_url(get_settings().redis_url, socket_connect_timeout=1, socket_timeout=1)


def checks() -> dict[str, str]:
    """By name of what a worker needs: `ok`, or what is wrong with it."""
    return {"postgres": _checked(_check_postgres), "redis": _checked(_check_redis), "sweep": _checked(_check_sweep)}


def _checked(check: Callable[[], str]) -> str:
    try:
        return check()
    except (psycopg.Error, RedisError) as error:
        return f"unreachable: {type(error).__name__}"


def _check_postgres() -> str:
    with _postgres() as connection:
        connection.execute("select 1")
    return "ok"


def _check_redis() -> str:
    with _redis() as redis:
        redis.ping()
    return "ok"


def _check_sweep() -> str:
    with _postgres() as connection:
        age = _sweep_age(connection)
    if age is None:
        return "none was ever made: start `./tunery beat`"
    return "ok" if age <= MAX_AGE_SECONDS else f"the last was {age:.0f} s ago: start `./tunery beat`"


def metrics(facts: Facts) -> bytes:
    """In Prometheus's text format. The registry is new each time, so a table that is gone leaves no sample behind."""
    registry = CollectorRegistry()
    age = Gauge(
        "tunery_sweep_age_seconds", "Seconds since the last recorded sweep; -1 if there was none.", registry=registry
    )
    age.set(-1 if facts.sweep_age is None else round(facts.sweep_age, 3))
    rows = Gauge("tunery_due_rows", "Rows whose next step is due.", ["table"], registry=registry)
    waits = Gauge(
        "tunery_due_seconds", "Seconds for which the first due row has been due.", ["table"], registry=registry
    )
    for table, (count, seconds) in facts.due.items():
        rows.labels(table).set(count)
        waits.labels(table).set(round(seconds, 3))
    messages = Gauge(
        "tunery_queue_messages", "Wake-up messages that no worker has taken.", ["queue"], registry=registry
    )
    for queue, count in facts.messages.items():
        messages.labels(queue).set(count)
    return generate_latest(registry)


class SchedulerWatch:
    """Logs once when the scheduler has stopped sweeping, and once when it sweeps again."""

    def __init__(self) -> None:
        self._has_stopped = False

    def check(self) -> None:
        try:
            result = _check_sweep()
        except psycopg.Error:
            return  # without Postgres nobody knows; the tasks log that it is down
        if (result != "ok") == self._has_stopped:
            return
        self._has_stopped = result != "ok"
        if self._has_stopped:
            log.error("the scheduler does not sweep: due rows wait", sweep=result)
        else:
            log.error("the scheduler sweeps again")

    def run(self) -> None:
        while True:
            time.sleep(CHECK_INTERVAL_SECONDS)
            self.check()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        match self.path:
            case "/livez":
                self._answer(200, json.dumps({"status": "ok"}))
            case "/readyz":
                found = checks()
                is_ready = all(result == "ok" for result in found.values())
                body = {"status": "ok" if is_ready else "unavailable", "checks": found}
                self._answer(200 if is_ready else 503, json.dumps(body))
            case "/metrics":
                try:
                    self._answer(200, metrics(gather()), CONTENT_TYPE_LATEST)
                except (psycopg.Error, RedisError) as error:
                    self._answer(503, json.dumps({"status": f"unreachable: {type(error).__name__}"}))
            case _:
                self._answer(404, json.dumps({"status": "there are /livez, /readyz and /metrics"}))

    def _answer(self, status: int, body: str | bytes, type: str = "application/json") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("content-type", type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: a monitor calls every few seconds."""


def start(address: str | None) -> ThreadingHTTPServer | None:
    """Watch the scheduler and, if there is an address, serve the checks there, both in daemon threads."""
    threading.Thread(target=SchedulerWatch().run, daemon=True, name="watch").start()
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    server = ThreadingHTTPServer((host.strip("[]"), int(port)), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()
    return server
