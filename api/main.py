"""Assembles the HTTP api: routes, middlewares, error handlers and the OpenAPI document."""

import gc
import multiprocessing
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from api import round_trips
from api.audit.middleware import AuditMiddleware
from api.auth.deps import limit_sessions
from api.chat.clients import close_clients
from api.chat.counting import counter
from api.dashboard.pages.datasets import UPLOAD
from api.dashboard.pages.uploads import PARTS
from api.dashboard.routes import add_dashboard, add_dashboard_middlewares
from api.docs_page import add_docs_page
from api.http import errors
from api.http.addresses import AddressMiddleware
from api.http.body_guard import BodyGuardMiddleware
from api.http.head import HeadMiddleware
from api.http.middleware import BodyLimitMiddleware, RequestMiddleware
from api.http.security_headers import SecurityHeadersMiddleware
from api.openapi import TAGS, answers_of_errors, extend_openapi, operation_id
from api.rate_limits.middleware import RateLimitMiddleware
from api.routes import (
    chat,
    datasets,
    deployments,
    files,
    health,
    jobs,
    models,
    project,
    provider_webhooks,
    responses,
    uploads,
    webhook_endpoints,
    webhook_events,
)
from api.routes.organization import (
    activity,
    admin_api_keys,
    api_keys,
    audit_logs,
    budgets,
    costs,
    credentials,
    not_implemented,
    notifications,
    projects,
    rate_limits,
    service_accounts,
)
from api.stopping import stopping
from shared.db import connections
from shared.key_rotation.startup_check import check_keys_of_server
from shared.log import set_up_logging
from shared.metrics import exposition
from shared.settings import Settings, get_settings
from shared.telemetry import error_reports, spans
from shared.version import VERSION

DESCRIPTION = """Fine-tuning with OpenAI's API: use the official `openai` SDK of any language as the client.
Set `OPENAI_BASE_URL` to this server's `/v1` and `OPENAI_API_KEY` to a project's API key."""
MAX_OPEN_FILES = 1 << 16
CORS_METHODS = ("GET", "POST", "DELETE")  # and OPTIONS, which the middleware answers itself
EXPOSED_HEADERS = (  # that a script may read, beside the few that it always may
    "x-request-id",
    "retry-after",
    "x-should-retry",
    "idempotent-replayed",
    *(f"x-ratelimit-{value}-{kind}" for value in ("limit", "remaining", "reset") for kind in ("requests", "bytes")),
)
FORM_OVERHEAD_BYTES = 1 << 20  # for the other fields of a form and its boundaries

_FOR_PROJECTS = (
    files,
    uploads,
    datasets,
    jobs,
    models,
    deployments,
    webhook_endpoints,
    webhook_events,
    chat,
    responses,
    project,
)
_FOR_ADMINS = (
    projects,
    service_accounts,
    api_keys,
    admin_api_keys,
    credentials,
    rate_limits,
    budgets,
    notifications,
    costs,
    activity,
    audit_logs,
    not_implemented,
)
_ERRORS = answers_of_errors(
    {
        400: "The request is invalid; `param` names the field",
        401: "The API key is missing, unknown, expired or revoked",
        403: "The API key lacks a scope, which `message` names",
        404: "The resource does not exist, or belongs to another project",
        408: "The body arrived too slowly; send the request again",
        409: "A request with the same Idempotency-Key is still being processed",
        413: "The body is too large",
        429: "A limit of requests, jobs or spending is reached; `code` says which",
        500: "An unexpected error; `message` has the request id for your operator",
        503: "The database, the storage or a worker is unavailable; try again",
    }
)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    stopping.watch()
    _raise_open_file_limit()
    _freeze_garbage_collector()
    _work_at_once(connections.of_api_pool(get_settings().api_connections))
    yield
    await close_clients()
    await round_trips.close()
    await anyio.to_thread.run_sync(counter.flush)
    await anyio.to_thread.run_sync(spans.stop)
    await anyio.to_thread.run_sync(error_reports.stop)


def _raise_open_file_limit() -> None:
    """Allow more than the usual default of 1,024 open files: each connection, such as an open stream, needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _freeze_garbage_collector() -> None:
    """Exclude the objects made at startup, which stay for good, from collections: scanning them blocked requests for
    50 ms at a time. To collect first would take a sixth of the start, and free one object in 170."""
    gc.enable()  # which `api.__main__` has put off
    gc.freeze()


def _work_at_once(requests: int) -> None:
    """A thread for each connection of the pool: more threads would wait for one, more connections would be idle."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = requests
    limit_sessions(requests)


def _add_middlewares(app: FastAPI, settings: Settings) -> None:
    limits_by_path = {
        "/v1/files": settings.max_file_bytes + FORM_OVERHEAD_BYTES,
        UPLOAD: settings.max_file_bytes + FORM_OVERHEAD_BYTES,
        PARTS: settings.max_part_bytes + FORM_OVERHEAD_BYTES,
        "/v1/uploads/*/parts": settings.max_part_bytes + FORM_OVERHEAD_BYTES,
        "/v1/chat/completions": settings.max_chat_bytes,
        "/v1/completions": settings.max_chat_bytes,
        "/v1/responses": settings.max_chat_bytes,
        "/v1/provider_webhooks/*": provider_webhooks.MAX_BYTES,
    }
    # The last one added is the outermost: addresses and rate limits come first, the checks of the body last. HEAD comes
    # after what counts and logs requests, which shall see it, and before what decides by the method of the route.
    app.add_middleware(BodyGuardMiddleware, timeout=settings.body_timeout, unparsed=limits_by_path)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_json_bytes, by_path=limits_by_path)
    app.add_middleware(AuditMiddleware)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RequestMiddleware)
    app.add_middleware(RateLimitMiddleware)
    add_dashboard_middlewares(app)
    app.add_middleware(AddressMiddleware, root_path=settings.root_path)
    app.add_middleware(SecurityHeadersMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )


def _share_metrics() -> None:
    """With WEB_CONCURRENCY above 1 this is one of several processes, children of uvicorn's."""
    if (parent := multiprocessing.parent_process()) is not None and parent.pid is not None:
        exposition.share(parent.pid, str(os.getpid()))
    exposition.introduce("api")


def create_app() -> FastAPI:
    set_up_logging()
    _share_metrics()
    spans.start("api")
    error_reports.start("api")
    check_keys_of_server()
    settings = get_settings()
    app = FastAPIOffline(
        title="Tunery",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=_lifespan,
        generate_unique_id_function=operation_id,
        openapi_tags=TAGS,
        docs_url=None,  # ours has a policy for its scripts
        redoc_url=None,
        redirect_slashes=False,  # the Location of such a redirect would repeat any Host header that a client sends
    )
    errors.register(app)
    _add_middlewares(app, settings)
    for module in (*_FOR_PROJECTS, *_FOR_ADMINS):
        app.include_router(module.router, responses=_ERRORS)
    for router in (jobs.limits_router, activity.of_accounts):
        app.include_router(router, responses=_ERRORS)
    app.include_router(health.router)
    app.include_router(provider_webhooks.router, responses=_ERRORS)
    add_docs_page(app)
    add_dashboard(app)
    extend_openapi(app)
    return app
