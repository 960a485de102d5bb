"""The api: everything that Tunery answers over HTTP."""

import gc
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from api.audit.middleware import AuditMiddleware
from api.http import errors
from api.http.body_guard import BodyGuardMiddleware
from api.http.errors import ErrorEnvelope
from api.http.middleware import BodyLimitMiddleware, RequestMiddleware
from api.rate_limits.middleware import RateLimitMiddleware
from api.routes import (
    chat,
    datasets,
    files,
    health,
    jobs,
    models,
    provider_webhooks,
    uploads,
    webhook_endpoints,
    webhook_events,
)
from api.routes.organization import (
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
from api.webhooks.openapi import describe_webhooks
from shared.key_rotation.startup_check import check_keys
from shared.log import set_up_logging
from shared.settings import get_settings
from shared.version import VERSION

DESCRIPTION = """Fine-tuning on OpenAI's wire: the official `openai` SDK, in any language, is the client.
Set `OPENAI_BASE_URL` to this server's `/v1` and `OPENAI_API_KEY` to a project's key."""
CONNECTIONS = 1 << 16
FORM_BYTES = 1 << 20  # what a form may have besides its file

_FOR_PROJECTS = (files, uploads, datasets, jobs, models, webhook_endpoints, webhook_events, chat)
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
    audit_logs,
    not_implemented,
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorEnvelope, "description": "The request cannot be carried out; `param` names the field"},
    401: {"model": ErrorEnvelope, "description": "No key, or one that is not known"},
    403: {"model": ErrorEnvelope, "description": "The key may not do this; the missing scope is in the sentence"},
    404: {"model": ErrorEnvelope, "description": "Not there, or another project's"},
    408: {"model": ErrorEnvelope, "description": "The body came too slowly; send it again"},
    409: {"model": ErrorEnvelope, "description": "A request under the same Idempotency-Key is under way"},
    413: {"model": ErrorEnvelope, "description": "The body is too large"},
    429: {"model": ErrorEnvelope, "description": "Too many requests, jobs, or too much money: `code` says which"},
    500: {"model": ErrorEnvelope, "description": "Our fault; the request id is in the sentence"},
    503: {"model": ErrorEnvelope, "description": "A part of the service cannot be reached; try again"},
}


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    _allow_many_connections()
    await run_in_threadpool(check_keys)
    _leave_alone_what_stays()
    yield
    await chat.close_clients()


def _allow_many_connections() -> None:
    """A process may often have 1,024 files open unless it asks for more, and every open stream is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _leave_alone_what_stays() -> None:
    """What is there before the first request stays for good. To look through it for garbage took 50 ms, now and then,
    in which nobody was answered."""
    gc.collect()
    gc.freeze()


def _name(route: APIRoute) -> str:
    return route.name


def create_app() -> FastAPI:
    set_up_logging()
    settings = get_settings()
    app = FastAPIOffline(
        title="Tunery",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=_lifespan,
        generate_unique_id_function=_name,
        redoc_url=None,
        redirect_slashes=False,  # its Location repeats whatever host the client named
    )
    errors.register(app)
    limits_by_path = {
        "/v1/files": settings.max_file_bytes + FORM_BYTES,
        "/v1/uploads/*/parts": settings.max_part_bytes + FORM_BYTES,
        "/v1/chat/completions": settings.max_chat_bytes,
        "/v1/provider_webhooks/*": provider_webhooks.MAX_BYTES,
    }
    app.add_middleware(BodyGuardMiddleware, timeout=settings.body_timeout, unparsed=limits_by_path)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_json_bytes, by_path=limits_by_path)
    app.add_middleware(AuditMiddleware)
    app.add_middleware(RequestMiddleware)
    app.add_middleware(RateLimitMiddleware)
    for module in (*_FOR_PROJECTS, *_FOR_ADMINS):
        app.include_router(module.router, responses=_ERRORS)
    app.include_router(health.router)
    app.include_router(provider_webhooks.router, responses=_ERRORS)
    describe_webhooks(app)
    _document_without_422(app)
    return app


def _document_without_422(app: FastAPI) -> None:
    """FastAPI documents its own 422, which we answer as 400."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
