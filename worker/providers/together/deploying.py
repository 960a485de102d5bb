"""Dedicated endpoints at Together: a machine of its own on which a tuned model answers chats, billed by the minute."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from worker.providers import sanitize
from worker.providers.deploying import NewDeployment, ProviderDeployment, ProviderState
from worker.providers.errors import ProviderError, before_a_create, unless_missing, unsupported
from worker.providers.openai.calls import path
from worker.providers.openai.kept import bounded
from worker.providers.openai.parsing import id_of, json_object
from worker.providers.rest.by_time import time_of
from worker.providers.together.files import TogetherFiles

_ENDPOINTS = "/endpoints"
_STATES: Mapping[str, ProviderState] = {
    "PENDING": ProviderState.STARTING,
    "STARTING": ProviderState.STARTING,
    "STARTED": ProviderState.READY,
    "STOPPING": ProviderState.STOPPED,
    "STOPPED": ProviderState.STOPPED,
    "ERROR": ProviderState.FAILED,
    "FAILED": ProviderState.FAILED,
}


class TogetherDeployments(TogetherFiles):
    """The calls of `DeployingProvider`. An endpoint's `display_name` is our id."""

    def create_deployment(self, new: NewDeployment) -> ProviderDeployment:
        options = new.provider_options
        if new.provider_checkpoint_id is not None:
            raise unsupported("Together deploys the model at the end of a job only: tune further from the checkpoint")
        least = options.get("min_replicas", 1)
        wanted = {
            "display_name": new.id,
            "model": new.model,
            "hardware": options.get("hardware") or self._cheapest(new.model),
            "autoscaling": {"min_replicas": least, "max_replicas": max(least, options.get("max_replicas", 1))},
        }
        if "inactive_timeout" in options:
            wanted["inactive_timeout"] = options["inactive_timeout"]
        with self._errors():
            return _deployment(self._json.post(_ENDPOINTS, wanted))

    def _cheapest(self, model: str) -> str:
        """The cheapest hardware that is free and can run the model. Raises `ProviderError` if there is none."""
        with before_a_create(), self._errors():
            listed = self._whole("/hardware", model=model)
        free = [(_price(each), str(each["id"])) for each in listed if sanitize.is_id(each.get("id")) and _is_free(each)]
        if not free:
            message = f"Together has no free hardware for {model} now: name one in provider_options.hardware, or wait"
            raise ProviderError(message, "no_hardware", retryable=True)
        return min(free)[1]

    def find_deployments(self, deployment_id: str) -> list[ProviderDeployment]:
        return [each for each in self.list_deployments() if each.deployment_id == deployment_id]

    def advance_deployment(self, new: NewDeployment, provider_deployment_id: str) -> ProviderDeployment:
        with self._errors():
            return _deployment(self._json.get(path(_ENDPOINTS, provider_deployment_id)))

    def delete_deployment(self, provider_deployment_id: str) -> None:
        with self._errors():
            self._json.delete(path(_ENDPOINTS, provider_deployment_id))

    def list_deployments(self) -> list[ProviderDeployment]:
        """Oldest first. A list that leaves the name out is completed by asking for each one."""
        with self._errors():
            listed = self._whole(_ENDPOINTS, type="dedicated")
            raws = [raw for raw in listed if raw.get("type") in ("dedicated", None)]
            raws.sort(key=time_of)
            whole = (raw if "display_name" in raw else unless_missing(partial(self._endpoint, raw)) for raw in raws)
            return list(bounded((_deployment(raw) for raw in whole if raw is not None), "endpoints"))

    def _endpoint(self, raw: dict[str, Any]) -> dict[str, Any]:
        with self._errors():
            return json_object(self._json.get(path(_ENDPOINTS, id_of(raw))))


def _deployment(answer: object) -> ProviderDeployment:
    raw = json_object(answer)
    name, word = sanitize.some_text(raw.get("display_name")) or "", sanitize.text(raw.get("state"))
    return ProviderDeployment(
        id=id_of(raw),
        deployment_id=name if name.startswith("dep_") else None,
        provider_status=word,
        state=_STATES.get(word),
        chat_model=sanitize.some_text(raw.get("name")),
        created_at=sanitize.moment(raw.get("created_at")),
        error=sanitize.some_text(raw.get("error")),
    )


def _is_free(hardware: dict[str, Any]) -> bool:
    return sanitize.part(hardware, "availability").get("status") in ("available", None)


def _price(hardware: dict[str, Any]) -> float:
    cents = sanitize.part(hardware, "pricing").get("cents_per_minute")
    return cents if isinstance(cents, int | float) and 0 < cents < 10**9 else float("inf")
