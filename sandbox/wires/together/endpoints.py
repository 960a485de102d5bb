"""`/v1/endpoints`: dedicated endpoints, on which tuned models answer chats; `/v1/hardware`."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sandbox import deployments
from sandbox.records import Deployment
from sandbox.wires.together.shapes import iso
from sandbox.wires.together.state import TogetherDep
from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.records import new_id

WORDS = {"starting": "PENDING", "ready": "STARTED", "stopped": "STOPPED", "failed": "ERROR"}
HARDWARE = {"1x_nvidia_h100_80gb_sxm": 5.6, "1x_nvidia_a100_80gb_sxm": 4.3, "1x_nvidia_l40s_48gb": 2.4}
TAKEN = "1x_nvidia_l40s_48gb"

router = APIRouter(prefix="/v1")


class Autoscaling(BaseModel):
    min_replicas: int = Field(ge=0)
    max_replicas: int = Field(ge=1)


class EndpointCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    hardware: str
    autoscaling: Autoscaling
    display_name: str = ""
    inactive_timeout: int | None = None


@router.post("/endpoints")
async def create_endpoint(new: EndpointCreate, state: TogetherDep) -> Response:
    if new.hardware not in HARDWARE or new.hardware == TAKEN:
        raise ApiError(400, f"The hardware {new.hardware} is not available.", param="hardware")
    chat_model = f"{new.model}-{new_id('', 8).lower()}"
    id = new_id("endpoint-")
    return answer(_shown(deployments.create(state, id, new.display_name, new.model, chat_model)))


@router.get("/endpoints")
async def list_endpoints(state: TogetherDep) -> Response:
    """All at once. Unless a switch says so, without the names that callers have given."""
    data = [_shown(each) for each in deployments.listed(state)]
    if not state.switches.names_endpoints:
        data = [{name: value for name, value in each.items() if name != "display_name"} for each in data]
    return answer({"object": "list", "data": data})


@router.get("/endpoints/{id}")
async def retrieve_endpoint(id: str, state: TogetherDep) -> Response:
    return answer(_shown(deployments.find(state, id)))


@router.delete("/endpoints/{id}")
async def delete_endpoint(id: str, state: TogetherDep) -> Response:
    del state.deployments[deployments.find(state, id).id]
    return Response(status_code=204)


@router.get("/hardware")
async def list_hardware() -> Response:
    data = [
        {
            "id": name,
            "object": "hardware",
            "pricing": {"cents_per_minute": cents},
            "availability": {"status": "unavailable" if name == TAKEN else "available"},
        }
        for name, cents in HARDWARE.items()
    ]
    return answer({"object": "list", "data": data})


def _shown(each: Deployment) -> dict[str, Any]:
    return {
        "object": "endpoint",
        "id": each.id,
        "name": each.chat_model,
        "display_name": each.name,
        "model": each.model,
        "type": "dedicated",
        "owner": "sandbox",
        "state": each.word or WORDS[each.status],
        "error": each.error,
        "created_at": iso(each.created_at),
    }
