"""What a route may ask for: whose key the request came with, and a session that shows that project alone."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated

import anyio
import structlog
from fastapi import Depends, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.auth.last_used import note_use
from api.rate_limits import middleware
from shared.database import transaction
from shared.errors import Unauthorized
from shared.projects import callers
from shared.projects.callers import AdminCaller, Caller

REMEMBERED_SECONDS = 0.9  # and what a request takes: within a second
REMEMBERED_KEYS = 10_000
_remembered: dict[bytes, tuple[float, Caller | AdminCaller]] = {}
_open_at_once = anyio.CapacityLimiter(30)


_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="A project's API key, `sk-tun-…`; an admin key, `sk-admin-tun-…`, for `/v1/organization`",
)


_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def _identify(request: Request, credentials: _Credentials) -> Caller | AdminCaller:
    """Whose key this is. It is remembered for a second, so that a revoked key is refused within one."""
    secret = _secret(credentials)
    digest = sha256(secret.encode()).digest()
    known_until, caller = _remembered.get(digest, (0.0, None))
    now = time.monotonic()
    if caller is None or known_until < now:
        caller = await run_in_threadpool(_find, secret)
        if len(_remembered) >= REMEMBERED_KEYS:
            _remembered.clear()
        _remembered[digest] = (now + REMEMBERED_SECONDS, caller)
    note_use(caller.key_id)
    middleware.recognise(request)
    structlog.contextvars.bind_contextvars(key_id=caller.key_id)
    _check_header(request, "OpenAI-Organization", caller.organization_id, "mismatched_organization")
    return caller


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


def _check_header(request: Request, name: str, own: str, code: str) -> None:
    """The key alone says whose it is; a client that believes something else is told so."""
    if request.headers.get(name, own) not in {own, ""}:
        raise Unauthorized(
            f"The header {name} names another one than the API key's: leave it out, or send {own}", code=code
        )


_CallerOfAnyKind = Annotated[Caller | AdminCaller, Depends(_identify)]


async def get_caller(request: Request, found: _CallerOfAnyKind) -> Caller:
    """Who acts for a project."""
    caller = callers.as_member(found)
    structlog.contextvars.bind_contextvars(project_id=caller.project_id)
    _check_header(request, "OpenAI-Project", caller.project_id, "mismatched_project")
    await middleware.admit(request, caller.project_id, caller.key_id)
    return caller


async def get_admin(request: Request, found: _CallerOfAnyKind) -> AdminCaller:
    """Who looks after the deployment: only an admin key opens these routes."""
    admin = callers.as_admin(found)
    middleware.admit_admin(request)
    return admin


@asynccontextmanager
async def _session(project_id: str | None) -> AsyncIterator[Session]:
    """To open a transaction touches nothing yet, to end it waits for Postgres: only that needs a thread of its own.

    Fewer are open than there are threads (40): when all others wait for a row that one has locked, that one still
    finds a thread to write its answer and to commit in.
    """
    async with _open_at_once:
        opened = transaction(project_id)
        session = opened.__enter__()
        try:
            yield session
        except BaseException as error:
            await run_in_threadpool(opened.__exit__, type(error), error, error.__traceback__)
            raise
        await run_in_threadpool(opened.__exit__, None, None, None)


CallerDep = Annotated[Caller, Depends(get_caller)]
AdminDep = Annotated[AdminCaller, Depends(get_admin)]


async def get_session(caller: CallerDep) -> AsyncIterator[Session]:
    """A transaction in which only the caller's project is there: without a caller there is none."""
    async with _session(caller.project_id) as session:
        yield session


async def get_organization_session(_: AdminDep) -> AsyncIterator[Session]:
    """A transaction across all projects: without an admin caller there is none."""
    async with _session(None) as session:
        yield session


# «function»: commit before the answer is sent, so that no answer is a promise.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
OrganizationSessionDep = Annotated[Session, Depends(get_organization_session, scope="function")]


After = Annotated[str | None, Query(max_length=64, description="The last id of the page before this one")]
