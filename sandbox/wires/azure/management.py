"""Azure's management address: deployments below an account, made with a token for this address only."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from sandbox import deployments
from sandbox.records import Deployment
from sandbox.wires.azure.engine import OF_MODELS, OPEN, AzureDep, AzureSandbox
from wire_server.errors import ApiError

_ACCOUNT = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.CognitiveServices/accounts/{account}"
)
_WORDS = {"starting": "Creating", "ready": "Succeeded", "failed": "Failed", "stopped": "Disabled"}
_FORMATS = dict(zip(OPEN, ("Microsoft", "Meta", "Mistral AI", "Alibaba"), strict=True))
_LEAST_CAPACITY_OF_OPEN = 100


def _permitted(
    request: Request, state: AzureDep, api_version: Annotated[str, Query(alias="api-version")] = ""
) -> AzureSandbox:
    """Raises `ApiError` without a token for this address, and for all but reading while an operation runs."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if state.audience_of(token) in (None, *OF_MODELS):
        message = "The access token has expired, or is for another audience."
        raise ApiError(401, message, code="ExpiredAuthenticationToken")
    if not api_version:
        raise ApiError(400, "The api-version query parameter is required.", code="MissingApiVersionParameter")
    if request.method != "GET" and state.operations_conflict > 0:
        state.operations_conflict -= 1
        message = "Another operation is being performed on the parent resource. Please try again later."
        raise ApiError(409, message, code="RequestConflict")
    return state


PermittedDep = Annotated[AzureSandbox, Depends(_permitted)]
router = APIRouter(prefix=f"{_ACCOUNT}/deployments")


class Sku(BaseModel):
    name: str
    capacity: int


class Model(BaseModel):
    format: str
    name: str
    version: str


class Properties(BaseModel):
    model: Model


class NewDeployment(BaseModel):
    sku: Sku
    properties: Properties


@router.put("/{name}")
async def put_deployment(name: str, new: NewDeployment, state: PermittedDep) -> Response:
    """A second one of the same name changes nothing but its first answer's status."""
    model, base = new.properties.model, new.properties.model.name.partition(".ft-")[0]
    if model.format != _FORMATS.get(base, "OpenAI"):
        raise ApiError(500, "An error occurred. Please reach out to support.", code="InternalServerError")
    if name in state.deployments:
        return JSONResponse(_shown(state.deployments[name], state))
    made = deployments.create(state, name, name, model.name, name)
    state.specified[name] = {"sku": new.sku.model_dump(), "model": model.model_dump()}
    if base in OPEN and new.sku.capacity < _LEAST_CAPACITY_OF_OPEN:
        made.status, made.error = "failed", "Failed to load LoRA"
    return JSONResponse(_shown(made, state), status_code=201)


@router.get("")
async def list_deployments(
    state: PermittedDep, request: Request, skip: Annotated[int, Query(alias="$skip")] = 0
) -> Response:
    there = deployments.listed(state)
    page, end = there[skip : skip + state.page_size], skip + state.page_size
    answer: dict[str, Any] = {"value": [_shown(each, state) for each in page]}
    if end < len(there):
        answer["nextLink"] = str(request.url.include_query_params(**{"$skip": end}))
    return JSONResponse(answer)


@router.get("/{name}")
async def retrieve_deployment(name: str, state: PermittedDep) -> Response:
    found = deployments.find(state, name)
    state.looks[name] += 1
    return JSONResponse(_shown(found, state))


@router.delete("/{name}")
async def delete_deployment(name: str, state: PermittedDep) -> Response:
    """One that is not there is as good as deleted: 204."""
    if state.deployments.pop(name, None) is None:
        return Response(status_code=204)
    return Response(status_code=202)


def _shown(each: Deployment, state: AzureSandbox) -> dict[str, Any]:
    """A new one is `Accepted` before it is being made."""
    word = each.word or ("Accepted" if each.status == "starting" and not state.looks[each.id] else _WORDS[each.status])
    specified = state.specified.get(each.id, {"sku": None, "model": None})
    properties = {"model": specified["model"], "provisioningState": word}
    return {
        "name": each.id,
        "type": "Microsoft.CognitiveServices/accounts/deployments",
        "sku": specified["sku"],
        "properties": properties | ({"error": {"message": each.error}} if each.error else {}),
        "systemData": {"createdAt": datetime.fromtimestamp(each.created_at, UTC).isoformat()},
    }
