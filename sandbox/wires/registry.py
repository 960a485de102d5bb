"""The wires that the sandbox can speak, one a process: OpenAI's, and those of other providers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from sandbox.engine import Sandbox
from sandbox.routes import responses
from sandbox.wires import deploying
from sandbox.wires.azure import routes as azure
from sandbox.wires.azure.engine import AzureSandbox
from sandbox.wires.fireworks import datasets, deployed, jobs, models, storage
from sandbox.wires.fireworks.engine import FireworksSandbox
from sandbox.wires.mantle import routes as mantle
from sandbox.wires.mantle.engine import MantleSandbox
from sandbox.wires.nebius import routes as nebius
from sandbox.wires.nebius.engine import NebiusSandbox
from sandbox.wires.together import wire as together
from wire_server.app import OPENAI_ROUTERS


@dataclass(frozen=True)
class Wire:
    """`routers` have its routes, on top of `engine`. `guarded`: the beginnings of the paths that need the key.

    `signed`: of those that a signature opens, so that they need none.
    """

    routers: Sequence[APIRouter] = OPENAI_ROUTERS
    engine: type[Sandbox] = Sandbox
    guarded: tuple[str, ...] = ("/v1/",)
    signed: tuple[str, ...] = ()


WIRES: Mapping[str, Wire] = {
    "openai": Wire(routers=(*OPENAI_ROUTERS, responses.router)),
    "azure": Wire(
        routers=azure.ROUTERS,
        engine=AzureSandbox,
        guarded=("/openai/", "/api/projects/"),
        signed=("/subscriptions/", "/tenant/"),  # where tokens are judged, and where a tenant of tests gets them
    ),
    "deploying": Wire(routers=deploying.ROUTERS),
    "mantle": Wire(routers=mantle.ROUTERS, engine=MantleSandbox),
    "nebius": Wire(routers=nebius.ROUTERS, engine=NebiusSandbox, guarded=("/v1/", "/v0/")),
    "fireworks": Wire(
        routers=(storage.router, datasets.router, deployed.router, models.router, jobs.router, models.chat_router),
        engine=FireworksSandbox,
        guarded=("/v1/", "/inference/"),
        signed=("/storage/",),
    ),
    "together": Wire(together.ROUTERS, together.TogetherSandbox),
}
