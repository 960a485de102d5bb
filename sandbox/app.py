"""Builds the ASGI app from the routes, the error handlers, the state and the middleware."""

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Scope

from sandbox.errors import handle_errors
from sandbox.middleware import SandboxMiddleware
from sandbox.routes import chat, control, files, index, jobs, models, uploads
from sandbox.state import State

ROUTERS = (files.router, uploads.router, jobs.router, models.router, chat.router, control.router, index.router)
TEMPLATES = [
    (route.path_regex, route.path) for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)
]


def create_app(state: State) -> SandboxMiddleware:
    app = FastAPI(title="Tunery's sandbox", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.sandbox = state
    for router in ROUTERS:
        app.include_router(router)
    handle_errors(app)
    return SandboxMiddleware(app, state, _template)


def _template(scope: Scope) -> str:
    """The path template of the request's route (`/v1/files/{file_id}`); the path itself if no route matches."""
    path: str = scope["path"]
    return next((template for regex, template in TEMPLATES if regex.match(path)), path)
