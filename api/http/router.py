"""The router of our routes: it is asked only about paths that begin as all of its own do."""

from functools import cached_property
from os.path import commonpath

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class Router(APIRouter):
    """FastAPI asks each router in turn, and that one each of its routes: some 300, longer work than many an answer."""

    @cached_property
    def _beginning(self) -> str:
        return commonpath([getattr(route, "path", "/") for route in self.routes]).partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if scope["path"].startswith(self._beginning) else (Match.NONE, {})
