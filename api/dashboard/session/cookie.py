"""The session's cookie: the API key of who has signed in, sealed, so that only this deployment can read it.

A session has no rights of its own: each request takes the key out of the cookie and is authenticated with it like a
request to the API. So it ends when the key does.
"""

import json
import time
from dataclasses import asdict, dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from api.http.pages import DASHBOARD
from shared.projects.secret_format import ADMIN_PREFIX
from shared.security.secrets import CannotUnseal, seal, unseal
from shared.settings import get_settings

NAME = "tunery_session"
SCOPE = "tunery.session"  # key of the `Session` in a request's ASGI scope
SECONDS = 12 * 3600
_CONTEXT = "dashboard session"


@dataclass(frozen=True)
class Session:
    """`secret` is an API key; `project_id` the project that the holder of an admin key has chosen."""

    secret: str
    project_id: str | None
    ends_at: int  # Unix seconds

    @classmethod
    def new(cls, secret: str, project_id: str | None = None) -> "Session":
        return cls(secret, project_id, int(time.time()) + SECONDS)

    @property
    def is_admin(self) -> bool:
        return self.secret.startswith(ADMIN_PREFIX)

    @property
    def has_project(self) -> bool:
        return self.project_id is not None or not self.is_admin

    def within(self, project_id: str) -> "Session":
        return replace(self, project_id=project_id)

    def sealed(self) -> str:
        return seal(json.dumps(asdict(self)), _CONTEXT)


def opened(sealed: str | None) -> Session | None:
    """Return the session of a cookie; None if there is none, it is over, or somebody else has made it."""
    try:
        session = Session(**json.loads(unseal(sealed or "", _CONTEXT)))
    except (CannotUnseal, ValueError, TypeError):
        return None
    return session if session.ends_at > time.time() else None


def keep(answer: Response, request: Request, session: Session) -> None:
    answer.set_cookie(
        NAME,
        session.sealed(),
        max_age=max(0, session.ends_at - int(time.time())),
        path=get_settings().root_path + DASHBOARD,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop(answer: Response) -> None:
    answer.delete_cookie(NAME, path=get_settings().root_path + DASHBOARD, httponly=True, samesite="lax")
