"""A wire of tests: OpenAI's, on which tuned models must be deployed, by `/v1/deployments`, before they answer chats."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from sandbox import deployments
from sandbox.records import Deployment
from sandbox.routes import deployed_chats
from sandbox.state import SandboxDep
from wire_server.answers import answer, deleted
from wire_server.records import new_id
from wire_server.routes import files, jobs, models, uploads

router = APIRouter(prefix="/v1/deployments")


class DeploymentCreate(BaseModel):
    name: str
    model: str


@router.post("")
async def create_deployment(new: DeploymentCreate, state: SandboxDep) -> Response:
    id = new_id("endpoint-")
    return answer(_shown(deployments.create(state, id, new.name, new.model, f"{id}/{new.model}")))


@router.get("")
async def list_deployments(state: SandboxDep) -> Response:
    """All at once, newest first."""
    data = [_shown(each) for each in deployments.listed(state)][::-1]
    return answer({"object": "list", "data": data, "has_more": False})


@router.get("/{id}")
async def retrieve_deployment(id: str, state: SandboxDep) -> Response:
    return answer(_shown(deployments.find(state, id)))


@router.delete("/{id}")
async def delete_deployment(id: str, state: SandboxDep) -> Response:
    del state.deployments[deployments.find(state, id).id]
    return deleted("deployment", id)


def _shown(each: Deployment) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "model": each.model,
        "chat_model": each.chat_model,
        "created_at": int(each.created_at),
        "status": each.word or each.status,
        "error": each.error,
    }


ROUTERS = (files.router, uploads.router, jobs.router, models.router, deployed_chats.router, router)
