"""What a route may ask for: a session, and whose key the request came with."""

from collections.abc import Iterator
from typing import Annotated

import structlog
from fastapi import Depends, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session

from shared.database import transaction
from shared.errors import Unauthorized
from shared.projects import service as projects
from shared.projects.service import Caller


def get_session() -> Iterator[Session]:
    with transaction() as session:
        yield session


# «function»: commit before the answer is sent, so that no answer is a promise.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]

_bearer = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="An API key of a project: `sk-tun-…`")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def get_caller(session: SessionDep, credentials: _Credentials) -> Caller:
    return _authenticate(session, credentials)


def get_caller_of_stream(credentials: _Credentials) -> Caller:
    """For routes that stream: no connection to Postgres is held while bytes flow."""
    with transaction() as session:
        return _authenticate(session, credentials)


def _authenticate(session: Session, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if credentials is None:
        raise Unauthorized(
            "You didn't provide an API key: send it as a bearer token (Authorization: Bearer sk-tun-…)",
            code="missing_api_key",
        )
    caller = projects.authenticate(session, credentials.credentials)
    structlog.contextvars.bind_contextvars(project_id=caller.project_id)
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]
StreamCallerDep = Annotated[Caller, Depends(get_caller_of_stream)]

After = Annotated[str | None, Query(max_length=64, description="The last id of the page before this one")]
