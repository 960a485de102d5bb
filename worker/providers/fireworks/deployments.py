"""Makes tuned models callable: a deployment of the model itself, on a machine of its own, with an id of ours.

Chats ask for `{model}#{deployment}`.
"""

from typing import Any

from worker.providers import sanitize
from worker.providers.deploying import NewDeployment, ProviderDeployment, ProviderState
from worker.providers.fireworks import names, parsing
from worker.providers.fireworks.files import FireworksFiles
from worker.providers.openai.calls import path
from worker.providers.openai.kept import bounded
from worker.providers.openai.parsing import json_object
from worker.providers.rest import google

_STATES = {
    "CREATING": ProviderState.STARTING,
    "UPDATING": ProviderState.STARTING,
    "READY": ProviderState.READY,
    "FAILED": ProviderState.FAILED,
    "DELETING": ProviderState.STOPPED,
    "DELETED": ProviderState.STOPPED,  # it is kept for a while
}
_OPTIONS = {
    "accelerator": "acceleratorType",
    "accelerators": "acceleratorCount",
    "min_replicas": "minReplicaCount",
    "max_replicas": "maxReplicaCount",
}
_PREFIX, _ID_PREFIX = "dep_", "dep-"


class FireworksDeployments(FireworksFiles):
    """See `DeployingProvider`."""

    def create_deployment(self, new: NewDeployment) -> ProviderDeployment:
        asked = {"baseModel": new.model, "displayName": new.id}
        asked |= {_OPTIONS[name]: value for name, value in new.provider_options.items()}
        with self._errors():
            return _deployment(self._created("/deployments", names.as_id(new.id), asked, "deploymentId"))

    def find_deployments(self, deployment_id: str) -> list[ProviderDeployment]:
        with self._errors():
            raw = self._found("/deployments", names.as_id(deployment_id))
            found = None if raw is None else _deployment(raw)
        return [] if found is None or found.state is ProviderState.STOPPED else [found]

    def advance_deployment(self, new: NewDeployment, provider_deployment_id: str) -> ProviderDeployment:
        with self._errors():
            return _deployment(self._calls.get(path("/deployments", provider_deployment_id)))

    def delete_deployment(self, provider_deployment_id: str) -> None:
        """Without `ignoreChecks` one that has just answered chats is kept, and goes on to cost money."""
        with self._errors():
            self._calls.delete(path("/deployments", provider_deployment_id), {"ignoreChecks": "true"})

    def list_deployments(self) -> list[ProviderDeployment]:
        with self._errors():
            found = map(_deployment, google.items(self._calls, "/deployments", "deployments"))
            return list(bounded((each for each in found if each.state is not ProviderState.STOPPED), "deployments"))


def _deployment(answer: Any) -> ProviderDeployment:
    raw = json_object(answer)
    name, word = raw.get("name"), sanitize.text(raw.get("state")).removeprefix("STATE_")
    id, model = names.tail(name), sanitize.some_text(raw.get("baseModel"))
    return ProviderDeployment(
        id=id,
        deployment_id=f"{_PREFIX}{id.removeprefix(_ID_PREFIX)}" if id.startswith(_ID_PREFIX) else None,
        provider_status=word,
        state=_STATES.get(word),
        chat_model=f"{model}#{sanitize.text(name)}" if model else None,
        created_at=sanitize.moment(raw.get("createTime")),
        error=parsing.problem(raw),
    )
