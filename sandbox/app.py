"""Builds the ASGI app: the routes of the wire, the controls of tests, and the middleware."""

from fastapi.routing import APIRoute
from starlette.types import Scope

from sandbox.engine import Sandbox
from sandbox.middleware import SandboxMiddleware
from sandbox.routes import control, deployments, index
from sandbox.wires.registry import WIRES
from wire_server import app

OWN_ROUTERS = (control.router, deployments.router, index.router)


def create_app(state: Sandbox) -> SandboxMiddleware:
    wire = WIRES[state.settings.wire]
    routers = (*wire.routers, *OWN_ROUTERS)
    templates = [
        (route.path_regex, route.path_format)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
    ]

    def template(scope: Scope) -> str:
        """The path template of the request's route (`/v1/files/{file_id}`); the path itself if no route matches."""
        path: str = scope["path"]
        return next((template for regex, template in templates if regex.match(path)), path)

    return SandboxMiddleware(
        app.create_app("Tunery's sandbox", state, routers), state, template, wire.guarded, wire.signed
    )
