"""Builds the app: the routes of OpenAI's wire, those of the engine's own, and the error handlers."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI

from wire_server.errors import handle_errors
from wire_server.routes import chat, files, jobs, models, uploads
from wire_server.state import State

ROUTERS = (files.router, uploads.router, jobs.router, models.router, chat.router)


def create_app(title: str, state: State, own_routers: Sequence[APIRouter] = ()) -> FastAPI:
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.provider = state
    for router in (*ROUTERS, *own_routers):
        app.include_router(router)
    handle_errors(app)
    return app
