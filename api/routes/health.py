"""`/livez`, `/readyz` and `/metrics`: for orchestrators, load balancers and Prometheus."""

from collections.abc import Callable
from functools import cache

from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.auth.scopes import admin_scope
from api.http.router import Router
from api.stopping import stopping
from shared.broker.queue import REDIS_TIMEOUT_SECONDS
from shared.database import transaction
from shared.db.revisions import current_revision, known_revisions, newest_revision
from shared.metrics import exposition
from shared.settings import get_settings

router = Router(tags=["Health"], include_in_schema=False)


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Answer 200 while the process runs. Checks no dependency: a restart would not repair them."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz() -> JSONResponse:
    """Answer 200 while Postgres can be reached and has this release's schema or a newer one, and until told to stop.

    Else 503. In an upgrade and after a rollback the schema is newer: migrations only add. Without Redis the status is
    `degraded`, still with 200: requests are served, and sweeps start their work later.
    """
    if stopping.is_told:
        return JSONResponse({"status": "stopping"}, status_code=503)
    checks = readyz_checks()
    if checks["postgres"] != "ok":
        return JSONResponse({"status": "unavailable", "checks": checks}, status_code=503)
    return JSONResponse({"status": "ok" if checks["redis"] == "ok" else "degraded", "checks": checks})


def readyz_checks() -> dict[str, str]:
    """Return, by the name of what the api needs, `ok` or what is wrong with it."""
    return {"postgres": _postgres(), "redis": _redis()}


def _postgres() -> str:
    try:
        with transaction() as session:
            revision = current_revision(session.connection())
    except SQLAlchemyError as error:
        return f"unreachable: {type(error).__name__}"
    if revision is None or (revision in known_revisions() and revision != newest_revision()):
        return f"at revision {revision or 'none'}, needs {newest_revision()}: run the migrations"
    return "ok"


@router.get("/metrics", dependencies=[admin_scope("activity")])
def metrics() -> Response:
    """Show what all processes of the api have counted, to an admin key that may read the activity."""
    return Response(exposition.text(), media_type=CONTENT_TYPE_LATEST)


@cache
def _client() -> Redis:
    return Redis.from_url(
        get_settings().redis_url, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, socket_timeout=REDIS_TIMEOUT_SECONDS
    )


def _redis() -> str:
    ping: Callable[[], object] = _client().ping
    try:
        ping()
    except RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"
