"""Runs before every request: counts the call, and applies an armed fault."""

from collections.abc import Callable

from starlette.types import ASGIApp, Scope

from sandbox.faults.armed import take
from sandbox.faults.inject import Faulty
from sandbox.state import SandboxState
from wire_server.middleware import WireMiddleware


class SandboxMiddleware(WireMiddleware):
    def __init__(
        self,
        app: ASGIApp,
        state: SandboxState,
        template: Callable[[Scope], str],
        guarded: tuple[str, ...],
        signed: tuple[str, ...],
    ) -> None:
        super().__init__(app, state)
        self.guarded = (*guarded, "/sandbox/")
        self._signed = signed
        self._sandbox = state
        self.template = template

    def _next(self, scope: Scope) -> ASGIApp:
        if self._signed and scope.get("path", "").startswith(self._signed):
            return self.answering(scope)
        return super()._next(scope)

    def answering(self, scope: Scope) -> ASGIApp:
        if scope["path"].startswith("/sandbox/"):
            return self.app
        self._sandbox.requests[f"{scope['method']} {self.template(scope)}"] += 1
        fault = take(self._sandbox.faults, scope["method"], scope["path"])
        return Faulty(self.app, fault) if fault else self.app
