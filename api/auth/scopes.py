"""The scope that a route needs: each router names its resource, and a request's method says read or write."""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends
from starlette.requests import Request

from api.auth.deps import AdminDep, CallerDep


def _access(method: str) -> str:
    return "read" if method in {"GET", "HEAD"} else "write"


@dataclass(frozen=True)
class ForProject:
    """Only a project's key passes that may do this to the resource."""

    resource: str

    def needed(self, method: str) -> str:
        return self.resource if self.resource == "inference" else f"{self.resource}:{_access(method)}"

    async def __call__(self, request: Request, caller: CallerDep) -> None:
        caller.check(self.needed(request.method))


@dataclass(frozen=True)
class ForAdmin:
    """Only an admin key passes that may do this to the resource."""

    resource: str

    def needed(self, method: str) -> str:
        return f"admin:{self.resource}:{_access(method)}"

    async def __call__(self, request: Request, admin: AdminDep) -> None:
        admin.check(self.needed(request.method))


def scope(resource: str) -> Any:
    """For a router's `dependencies`: `jobs`, `files`, `models`, `webhooks` or `inference`."""
    return Depends(ForProject(resource))


def admin_scope(resource: str) -> Any:
    """For a router's `dependencies`: `projects`, `admin_api_keys`, `credentials`, `limits`, `costs`, `audit_logs`."""
    return Depends(ForAdmin(resource))
