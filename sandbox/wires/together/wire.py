"""The routers of the wire, in one list."""

from sandbox.routes import deployed_chats
from sandbox.wires.together import endpoints, files, jobs, state, weights
from sandbox.wires.together.engine import TogetherSandbox
from wire_server.routes import models

__all__ = ["ROUTERS", "TogetherSandbox"]
ROUTERS = (
    *(weights.router, files.router, files.storage, jobs.router, models.router),
    *(endpoints.router, deployed_chats.router, state.router),
)
