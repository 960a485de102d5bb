"""Deployments of tuned models, for the wires on which a model must be deployed before it can be chatted with.

A wire shows them in its own words; `/sandbox/deployments` moves them. A deployment takes a minute, at speed 1.
"""

from sandbox.records import Deployment
from sandbox.state import SandboxState
from wire_server.errors import ApiError

SECONDS_TO_START = 60.0


def create(state: SandboxState, id: str, name: str, model: str, chat_model: str) -> Deployment:
    """Raises ApiError 404 for a model that no job has made, 400 for an id that is taken."""
    if model not in state.tuned:
        raise ApiError(404, f"The model '{model}' does not exist.", code="model_not_found", param="model")
    if id in state.deployments:
        raise ApiError(400, f"There is a deployment {id}.", code="already_exists", param="name")
    now, speed = state.now(), state.settings.speed
    ready_at = now + SECONDS_TO_START / speed if speed > 0 else float("inf")
    new = Deployment(
        id=id,
        name=name,
        model=model,
        chat_model=chat_model,
        created_at=now,
        ready_at=ready_at,
        visible_at=now + state.list_lag,
    )
    state.deployments[id] = new
    return new


def listed(state: SandboxState) -> list[Deployment]:
    """Oldest first, without those that the list does not show yet."""
    now = state.now()
    return [each for each in state.deployments.values() if each.visible_at <= now]


def find(state: SandboxState, id: str) -> Deployment:
    if id not in state.deployments:
        raise ApiError(404, f"There is no deployment {id}.", code="not_found")
    return state.deployments[id]


def model_of(state: SandboxState, chat_model: str) -> str:
    """The tuned model that answers chats of this name; a base model has its own name.

    Raises ApiError 404 for a model that is not deployed, 503 for one that does not answer yet.
    """
    if chat_model in state.bases():
        return chat_model
    found = [each for each in state.deployments.values() if each.chat_model == chat_model and each.status != "stopped"]
    if not found:
        raise ApiError(404, f"The model '{chat_model}' is not deployed.", code="model_not_found", param="model")
    if not any(each.answers for each in found):
        raise ApiError(503, f"The deployment {found[0].id} is not ready.", code="deployment_not_ready")
    return found[0].model
