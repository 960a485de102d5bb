"""Builds the ASGI app: OpenAI's wire, the controls of tests, and the middleware."""

from fastapi.routing import APIRoute
from starlette.types import Scope

from sandbox.engine import Sandbox
from sandbox.middleware import SandboxMiddleware
from sandbox.routes import control, index
from wire_server import app

OWN_ROUTERS = (control.router, index.router)
TEMPLATES = [
    (route.path_regex, route.path)
    for router in (*app.ROUTERS, *OWN_ROUTERS)
    for route in router.routes
    if isinstance(route, APIRoute)
]


def create_app(state: Sandbox) -> SandboxMiddleware:
    return SandboxMiddleware(app.create_app("Tunery's sandbox", state, OWN_ROUTERS), state, _template)


def _template(scope: Scope) -> str:
    """The path template of the request's route (`/v1/files/{file_id}`); the path itself if no route matches."""
    path: str = scope["path"]
    return next((template for regex, template in TEMPLATES if regex.match(path)), path)
