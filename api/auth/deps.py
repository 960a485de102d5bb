"""Dependencies of the routes: the caller behind the API key, and a database session limited to the caller's project."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated, Any, cast

import anyio
import structlog
from fastapi import Depends, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request

from api.auth.last_used import record_use
from api.rate_limits import middleware
from shared.database import transaction
from shared.errors import Unauthorized
from shared.projects import callers
from shared.projects.callers import AdminCaller, Caller

CACHE_SECONDS = 0.9  # a revoked key is refused within a second, the length of a request included
MAX_CACHED_KEYS = 10_000
CHOSEN_PROJECT = "tunery.chosen_project"  # key in a request's ASGI scope; only a session of the dashboard sets it
_cache: dict[bytes, tuple[float, Caller | AdminCaller]] = {}
_KEYS = "A project's API key, `sk-tun-…`; an admin key, `sk-admin-tun-…`, for `/v1/organization`"
_session_limiter = anyio.CapacityLimiter(30)  # until `limit_sessions`


class _ByKey(HTTPBearer):
    """A dependency that says to FastAPI, and its documentation, which key it needs.

    To depend on an `HTTPBearer` instead would take FastAPI as long as to find the caller, twice in each request.
    """

    def __init__(self, find: Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[Any]]) -> None:
        super().__init__(auto_error=False, scheme_name="ApiKey", description=_KEYS)
        self.find = find

    async def __call__(self, request: HTTPConnection) -> Any:
        return await self.find(cast("Request", request), await super().__call__(request))


async def _identify(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Caller | AdminCaller:
    """Find the caller of the request's key. Raises `Unauthorized`."""
    return await identify(request, _secret(credentials))


async def identify(request: Request, secret: str) -> Caller | AdminCaller:
    """Find the caller of this key, from a cache of a second or in the database. Raises `Unauthorized`."""
    digest = sha256(secret.encode()).digest()
    cached_until, caller = _cache.get(digest, (0.0, None))
    now = time.monotonic()
    if caller is None or cached_until < now:
        caller = await run_in_threadpool(_find, secret)
        if len(_cache) >= MAX_CACHED_KEYS:
            _cache.clear()
        _cache[digest] = (now + CACHE_SECONDS, caller)
    structlog.contextvars.bind_contextvars(key_id=caller.key_id)
    caller.check_address(address_of(request))
    record_use(caller.key_id)
    middleware.mark_authenticated(request)
    _check_header(request, "OpenAI-Organization", caller.organization_id, "mismatched_organization")
    return caller


def address_of(request: Request) -> str:
    """Return the client's address: of the connection, or from `X-Forwarded-For` if uvicorn trusts the proxy."""
    return request.client.host if request.client else ""


def _secret(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None:
        raise Unauthorized(
            "You didn't provide an API key: send it as a bearer token (Authorization: Bearer sk-tun-…)",
            code="missing_api_key",
        )
    return credentials.credentials


def _find(secret: str) -> Caller | AdminCaller:
    with transaction() as session:
        return callers.identify(session, secret)


def _work_in(admin: AdminCaller, project_id: str) -> Caller:
    with transaction() as session:
        return callers.work_in(session, admin, project_id)


def _check_header(request: Request, name: str, own: str, code: str) -> None:
    """The key alone decides the project. Raises `Unauthorized` if a header names another one, as OpenAI does."""
    if request.headers.get(name, own) not in {own, ""}:
        raise Unauthorized(f"The header {name} does not match the API key: leave it out, or send {own}", code=code)


@_ByKey
async def get_caller(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    """Return the project behind the key, and count the request. Raises `Forbidden` for an admin key, `RateLimited`.

    A session of the dashboard with an admin key works in the project that was chosen there.
    """
    found = await _identify(request, credentials)
    chosen = request.scope.get(CHOSEN_PROJECT)
    if chosen is not None and isinstance(found, AdminCaller):
        structlog.contextvars.bind_contextvars(project_id=chosen)
        middleware.admit_admin(request)
        return await run_in_threadpool(_work_in, found, chosen)
    caller = callers.require_project(found)
    structlog.contextvars.bind_contextvars(project_id=caller.project_id)
    _check_header(request, "OpenAI-Project", caller.project_id, "mismatched_project")
    await middleware.admit(request, caller.project_id, caller.key_id)
    return caller


@_ByKey
async def get_caller_of_any_kind(
    request: Request, credentials: HTTPAuthorizationCredentials | None
) -> Caller | AdminCaller:
    """Return the project or administrator behind the key, and count the request. Raises `RateLimited`."""
    return await admit(request, await _identify(request, credentials))


async def admit(request: Request, found: Caller | AdminCaller) -> Caller | AdminCaller:
    """Count a request of a caller who has been identified. Raises `RateLimited`."""
    if isinstance(found, AdminCaller):
        middleware.admit_admin(request)
    else:
        await middleware.admit(request, found.project_id, found.key_id)
    return found


@_ByKey
async def get_admin(request: Request, credentials: HTTPAuthorizationCredentials | None) -> AdminCaller:
    """Return the administrator behind the key. Raises `Forbidden` for a project's key."""
    admin = callers.require_admin(await _identify(request, credentials))
    middleware.admit_admin(request)
    return admin


async def sign_in(request: Request, secret: str) -> Caller | AdminCaller:
    """Find the caller of a key that a form or a link has brought, and count the request as one of that key.

    Raises `Unauthorized`, `RateLimited`.
    """
    found = await identify(request, secret)
    middleware.present(request, secret)
    return await admit(request, found)


def limit_sessions(connections: int) -> None:
    """Let a quarter of the threads and connections be none of sessions: when all other sessions wait for a row that one
    of them has locked, that one still gets a thread to write its answer and to commit."""
    _session_limiter.total_tokens = connections * 3 // 4


@asynccontextmanager
async def _session(project_id: str | None) -> AsyncIterator[Session]:
    """Open a transaction. Beginning it sends nothing to Postgres; ending it waits, so that runs in a thread."""
    async with _session_limiter:
        opened = transaction(project_id)
        session = opened.__enter__()
        try:
            yield session
        except BaseException as error:
            await run_in_threadpool(opened.__exit__, type(error), error, error.__traceback__)
            raise
        await run_in_threadpool(opened.__exit__, None, None, None)


AdmittedDep = Annotated[Caller | AdminCaller, Depends(get_caller_of_any_kind)]
CallerDep = Annotated[Caller, Depends(get_caller)]
AdminDep = Annotated[AdminCaller, Depends(get_admin)]


async def get_session(caller: CallerDep) -> AsyncIterator[Session]:
    """A transaction in which Postgres shows only the rows of the caller's project."""
    async with _session(caller.project_id) as session:
        yield session


async def get_organization_session(_: AdminDep) -> AsyncIterator[Session]:
    """A transaction across all projects, for admin keys only."""
    async with _session(None) as session:
        yield session


# scope="function" commits before the answer is sent. With FastAPI's default the client would see a 201 before the
# commit, or even if the commit fails.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
OrganizationSessionDep = Annotated[Session, Depends(get_organization_session, scope="function")]


After = Annotated[str | None, Query(max_length=64, description="The last id of the page before this one")]
