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

from shared.database import transaction
from shared.errors import Unauthorized
from shared.projects import service as projects
from shared.projects.service import Caller

REMEMBERED_SECONDS = 1.0
REMEMBERED_KEYS = 10_000
_remembered: dict[bytes, tuple[float, Caller]] = {}
_open_at_once = anyio.CapacityLimiter(30)


_bearer = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key of a project: `sk-tun-…`")


_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def get_caller(credentials: _Credentials) -> Caller:
    """Whose key this is. It is remembered for a second, so that a revoked key is refused within one."""
    secret = _secret(credentials)
    digest = sha256(secret.encode()).digest()
    known_until, caller = _remembered.get(digest, (0.0, None))
    if caller is None or known_until < time.monotonic():
        caller = await run_in_threadpool(_authenticate, secret)
        if len(_remembered) >= REMEMBERED_KEYS:
            _remembered.clear()
        _remembered[digest] = (time.monotonic() + REMEMBERED_SECONDS, caller)
    structlog.contextvars.bind_contextvars(project_id=caller.project_id, key_id=caller.key_id)
    return caller


def _secret(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None:
        raise Unauthorized(
            "You didn't provide an API key: send it as a bearer token (Authorization: Bearer sk-tun-…)",
            code="missing_api_key",
        )
    return credentials.credentials


def _authenticate(secret: str) -> Caller:
    with transaction() as session:
        return projects.authenticate(session, secret)


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


async def get_session(caller: CallerDep) -> AsyncIterator[Session]:
    """A transaction in which only the caller's project is there: without a caller there is none."""
    async with _session(caller.project_id) as session:
        yield session


async def get_organization_session() -> AsyncIterator[Session]:
    """A transaction across all projects, for whoever has shown an admin key."""
    async with _session(None) as session:
        yield session


# «function»: commit before the answer is sent, so that no answer is a promise.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
OrganizationSessionDep = Annotated[Session, Depends(get_organization_session, scope="function")]


def check_admin(session: OrganizationSessionDep, credentials: _Credentials) -> None:
    """For routes that manage the deployment: only an admin key opens them."""
    projects.authenticate_admin(session, _secret(credentials))


After = Annotated[str | None, Query(max_length=64, description="The last id of the page before this one")]
