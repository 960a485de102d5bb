"""Checks that a key has the scope of a route: the router names the resource, the method decides `read` or `write`.

After it comes the check of the query, which also holds for every route: a caller without the scope learns nothing.
"""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends
from starlette.requests import Request

from api.auth.deps import AdminDep, CallerDep
from api.http.unknown_keys import check_query


def _access(method: str) -> str:
    return "read" if method in {"GET", "HEAD"} else "write"


@dataclass(frozen=True)
class ProjectScope:
    """Lets a project's key pass that has the scope. Raises `Forbidden` for any other."""

    resource: str

    def required(self, method: str) -> str:
        return self.resource if self.resource == "inference" else f"{self.resource}:{_access(method)}"

    async def __call__(self, request: Request, caller: CallerDep) -> None:
        caller.check(self.required(request.method))
        check_query(request)


@dataclass(frozen=True)
class AdminScope:
    """Lets an admin key pass that has the scope. Raises `Forbidden` for any other."""

    resource: str

    def required(self, method: str) -> str:
        return f"admin:{self.resource}:{_access(method)}"

    async def __call__(self, request: Request, admin: AdminDep) -> None:
        admin.check(self.required(request.method))
        check_query(request)


def scope(resource: str) -> Any:
    """For a router's `dependencies`. `resource`: `jobs`, `files`, `models`, `webhooks` or `inference`."""
    return Depends(ProjectScope(resource))


def admin_scope(resource: str) -> Any:
    """For a router's `dependencies`. `resource`: the middle part of one of `ADMIN_SCOPES`, such as `projects`."""
    return Depends(AdminScope(resource))
