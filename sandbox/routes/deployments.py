"""`/sandbox/deployments`: shows what is deployed, and moves it."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from sandbox.records import Deployment, DeploymentStatus
from sandbox.state import SandboxDep, SandboxState
from wire_server.answers import answer
from wire_server.errors import ApiError

router = APIRouter(prefix="/sandbox/deployments")


class DeploymentMove(BaseModel):
    """What a deployment becomes at once, and stays. `status`: ready answers chats, unless `answers` is false.

    `word`: the wire shows it as the status. `gone`: it is there no more, as after somebody else has deleted it.
    """

    model_config = ConfigDict(extra="forbid")

    status: DeploymentStatus | None = None
    answers: bool | None = None
    error: str | None = None
    word: str | None = None
    gone: bool = False


@router.get("")
async def list_deployments(state: SandboxDep) -> Response:
    """All, oldest first; one that was deleted is not there."""
    return answer({"object": "list", "data": list(state.deployments.values())})


@router.post("/{name}")
async def move_deployment(name: str, move: DeploymentMove, state: SandboxDep) -> Response:
    """Moves the deployment that the wire knows by this id, or that the caller has named so."""
    found = _find(state, name)
    if move.status is not None:
        found.status, found.ready_at = move.status, float("inf")
        found.answers = move.status == "ready"
    if move.answers is not None:
        found.answers = move.answers
    found.error, found.word = move.error or found.error, move.word or found.word
    if move.gone:
        del state.deployments[found.id]
    return answer(found)


def _find(state: SandboxState, name: str) -> Deployment:
    named = [each for each in state.deployments.values() if name in each.name]
    if name not in state.deployments and not named:
        raise ApiError(404, f"There is no deployment {name}.")
    return state.deployments.get(name) or named[0]
