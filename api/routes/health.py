"""Is this process alive, and can it do its work?"""

from collections.abc import Callable
from functools import cache

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from shared.broker.queue import PATIENCE
from shared.database import transaction
from shared.migrations import current_revision, newest_revision
from shared.settings import get_settings

router = APIRouter(tags=["Health"], include_in_schema=False)


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Whether the process answers; asks nobody else, so that one outage does not become two."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz() -> JSONResponse:
    """200 while requests can be served: Postgres answers, in the newest schema.

    Without Redis it is `degraded`: requests are served all the same, and their work starts when Redis is back.
    """
    checks = {"postgres": _postgres(), "redis": _redis()}
    if checks["postgres"] != "ok":
        return JSONResponse({"status": "unavailable", "checks": checks}, status_code=503)
    return JSONResponse({"status": "ok" if checks["redis"] == "ok" else "degraded", "checks": checks})


def _postgres() -> str:
    try:
        with transaction() as session:
            revision = current_revision(session)
    except SQLAlchemyError as error:
        return f"unreachable: {type(error).__name__}"
    newest = newest_revision()
    return "ok" if revision == newest else f"at revision {revision or 'none'}, needs {newest}: run the migrations"


@cache
def _client() -> Redis:
    return Redis.from_url(get_settings().redis_url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE)


def _redis() -> str:
    ping: Callable[[], object] = _client().ping
    try:
        ping()
    except RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"
