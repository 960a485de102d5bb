"""The scope that a route needs: each router names its resource, and a request's method says read or write."""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends
from starlette.requests import Request

from api.deps import AdminDep, CallerDep


@dataclass(frozen=True)
class ForProject:
    """Only a project's key passes that may do this to the resource."""

    resource: str

    async def __call__(self, request: Request, caller: CallerDep) -> None:
        caller.check(needed(self.resource, request.method))


@dataclass(frozen=True)
class ForAdmin:
    """Only an admin key passes that may do this to the resource."""

    resource: str

    async def __call__(self, request: Request, admin: AdminDep) -> None:
        admin.check(needed(f"admin:{self.resource}", request.method))


def needed(resource: str, method: str) -> str:
    if resource == "inference":
        return resource
    return f"{resource}:{'read' if method in {'GET', 'HEAD'} else 'write'}"


def scope(resource: str) -> Any:
    """For a router's `dependencies`: `jobs`, `files`, `models`, `webhooks` or `inference`."""
    return Depends(ForProject(resource))


def admin_scope(resource: str) -> Any:
    """For a router's `dependencies`: `projects`, `admin_api_keys`, `credentials`, `limits`, `costs`, `audit_logs`."""
    return Depends(ForAdmin(resource))
