"""Builds the app: the routes of a wire, those of the engine's own, and the error handlers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI

from wire_server.errors import handle_errors
from wire_server.routes import chat, files, jobs, models, uploads
from wire_server.state import State

OPENAI_ROUTERS = (files.router, uploads.router, jobs.router, models.router, chat.router)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(title: str, state: State, routers: Sequence[APIRouter], lifespan: Lifespan | None = None) -> FastAPI:
    """`routers`: those of the wire and the engine's own. `lifespan`: what runs beside the requests, to the end."""
    app = FastAPI(
        title=title, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=lifespan
    )
    app.state.provider = state
    for router in routers:
        app.include_router(router)
    handle_errors(app)
    return app
