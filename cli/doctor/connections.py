"""Whether Postgres lets in all the connections that the servers of this environment may open."""

import os
from typing import Any

import psycopg

from cli.doctor.result import Result, ok, warn
from cli.local import commands
from shared.db import connections
from shared.settings import get_settings

_LIMITS = """select current_setting('max_connections')::int,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int,
    (select count(*) from pg_stat_activity where backend_type = 'client backend')"""
ADVICE = (
    "Raise max_connections of Postgres, or lower WEB_CONCURRENCY, TUNERY_API_CONNECTIONS, WORKER_CONCURRENCY or"
    " SENDER_CONCURRENCY (docs/sizing.md)."
)


def check(connection: psycopg.Connection[Any]) -> Result:
    """Counts one server of each kind, as this environment sets them; how many run elsewhere it cannot know."""
    row = connection.execute(_LIMITS).fetchone()
    most, reserved, in_use = row or (0, 0, 0)
    servers = _of_one_server_each()
    wanted = sum(servers.values())
    listed = ", ".join(f"{name} {count}" for name, count in servers.items())
    found = (
        f"one server of each kind opens {wanted} at most ({listed}); Postgres has {most - reserved} for them"
        f" (max_connections {most}, {reserved} reserved), {in_use} are open now"
    )
    return ok("connections", found) if wanted <= most - reserved else warn("connections", found, ADVICE)


def _of_one_server_each() -> dict[str, int]:
    return {
        "api": connections.of_api(_number("WEB_CONCURRENCY", 1), get_settings().api_connections),
        "worker": connections.of_worker(_number("WORKER_CONCURRENCY", commands.STEPS_AT_ONCE)),
        "sender": connections.of_sender(_number("SENDER_CONCURRENCY", commands.DELIVERIES_AT_ONCE)),
        "beat": connections.BEAT,
    }


def _number(name: str, default: int) -> int:
    """What is no number is told by the command that it is for."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default
