"""`/v1/accounts/{account}/deployments`: machines that serve a model, created by an id of the caller."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox import deployments
from sandbox.records import Deployment
from sandbox.wires.fireworks import datasets
from sandbox.wires.fireworks.access import AccountDep, check_fields, json_object, page, time
from sandbox.wires.fireworks.engine import FireworksSandbox
from sandbox.wires.fireworks.status import FAILED_PRECONDITION, NOT_FOUND, StatusError, in_its_words
from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.records import new_id

FIELDS = frozenset(
    {"baseModel", "displayName", "minReplicaCount", "maxReplicaCount", "acceleratorType", "acceleratorCount"}
)
_STATES = {"starting": "CREATING", "ready": "READY", "stopped": "DELETED", "failed": "FAILED"}

router = APIRouter(prefix="/v1/accounts/{account}/deployments")


def _shown(engine: FireworksSandbox, each: Deployment) -> dict[str, Any]:
    return {
        "name": f"accounts/{engine.account}/deployments/{each.id}",
        "displayName": each.name,
        "baseModel": each.model,
        "state": each.word or _STATES[each.status],
        "status": {"code": "INTERNAL" if each.error else "OK", "message": each.error or ""},
        "createTime": time(each.created_at),
    }


def _find(engine: FireworksSandbox, id: str) -> Deployment:
    if found := engine.deployments.get(id):
        return found
    raise StatusError(NOT_FOUND, f"deployment accounts/{engine.account}/deployments/{id} not found")


@router.post("")
async def create_deployment(request: Request, engine: AccountDep) -> Response:
    body = await json_object(request)
    id = request.query_params.get("deploymentId") or new_id("d-").lower()
    datasets.check_new(engine, id, "deployment", id in engine.deployments)
    check_fields(body, FIELDS)
    model = str(body.get("baseModel"))
    chat_model = f"{model}#accounts/{engine.account}/deployments/{id}"
    try:
        made = deployments.create(engine, id, str(body.get("displayName") or ""), model, chat_model)
    except ApiError as error:
        raise in_its_words(error) from None
    return answer(_shown(engine, made))


@router.get("")
async def list_deployments(request: Request, engine: AccountDep) -> Response:
    found = deployments.listed(engine)
    return answer(page(request, "deployments", found, lambda each: _shown(engine, each)))


@router.get("/{deployment}")
async def retrieve_deployment(deployment: str, engine: AccountDep) -> Response:
    return answer(_shown(engine, _find(engine, deployment)))


@router.delete("/{deployment}")
async def delete_deployment(deployment: str, engine: AccountDep, request: Request) -> Response:
    """One that answers chats is in use: it is deleted only if the checks of that are ignored."""
    found = _find(engine, deployment)
    if found.answers and request.query_params.get("ignoreChecks") != "true":
        raise StatusError(FAILED_PRECONDITION, f"deployment {found.id} is in use: set ignoreChecks to delete it.")
    del engine.deployments[found.id]
    return answer({})
