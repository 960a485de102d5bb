"""Answers at /livez, /readyz and /metrics of worker, sender and scheduler; and logs when the scheduler has stopped.

It runs in threads beside Celery, whose process forks, so it opens connections of its own and shares no pool with tasks.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from shared.metrics import exposition
from shared.settings import get_settings
from shared.sweeps import MAX_AGE_SECONDS

CHECK_INTERVAL_SECONDS = 10.0
log = structlog.get_logger(__name__)

_SWEEP = "select extract(epoch from now() - max(swept_at)) from sweeps"
More = Callable[[], bytes]


def _sweep_age(connection: psycopg.Connection[Any]) -> float | None:
    row = connection.execute(_SWEEP).fetchone()
    return None if row is None or row[0] is None else float(row[0])


def connect() -> psycopg.Connection[Any]:
    """A connection of one's own, on which no statement takes longer than 5 s. Raises `psycopg.Error`."""
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
    with connect() as connection:
        connection.execute("select 1")
    return "ok"


def _check_redis() -> str:
    with _redis() as redis:
        redis.ping()
    return "ok"


def _check_sweep() -> str:
    with connect() as connection:
        age = _sweep_age(connection)
    if age is None:
        return "none was ever made: start `./tunery beat`"
    return "ok" if age <= MAX_AGE_SECONDS else f"the last was {age:.0f} s ago: start `./tunery beat`"


class _SweepAge(Collector):
    """Made at each scrape: a `Gauge` would be one of the values that the processes share."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with suppress(psycopg.Error), connect() as connection:
            age = _sweep_age(connection)
            meaning = "Seconds since the last recorded sweep; -1 if there was none."
            yield GaugeMetricFamily("tunery_sweep_age_seconds", meaning, -1 if age is None else round(age, 3))


def _metrics(more: More) -> bytes:
    """In Prometheus's text format: what this server has counted, the age of the last sweep, and `more`."""
    registry = CollectorRegistry()
    registry.register(_SweepAge())
    return exposition.text() + generate_latest(registry) + more()


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
    server: "_Server"
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
                self._answer(200, _metrics(self.server.more), CONTENT_TYPE_LATEST)
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


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], more: More) -> None:
        super().__init__(address, _Handler)
        self.more = more


def watch_scheduler() -> None:
    threading.Thread(target=SchedulerWatch().run, daemon=True, name="watch").start()


def cannot_listen(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"TUNERY_HEALTH_ADDRESS: nobody can listen at {get_settings().health_address}: {reason}."


def serve(address: str | None, more: More = bytes) -> ThreadingHTTPServer | None:
    """If there is an address, serve the checks and the metrics there, in daemon threads. Raises `OSError`."""
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    server = _Server((host.strip("[]"), int(port)), more)
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()
    return server
