"""Deployments of tuned models at Azure: they are made at the management address, with tokens of an application only.

A deployment is named by our id, so that a second create changes nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2

from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from shared.providers.entra import scope_of_management
from shared.settings import get_settings
from worker.net.retry_after import retry_after
from worker.providers import sanitize
from worker.providers.deploying import NewDeployment, ProviderDeployment, ProviderState
from worker.providers.errors import ProviderError, refusal, unsupported
from worker.providers.openai import calls, parsing
from worker.providers.openai.client import OpenAIProvider
from worker.providers.openai.kept import bounded
from worker.providers.rest.calls import RestCalls, refused
from worker.providers.rest.entra import Signed

OPEN = ("gpt-oss-20b", "llama-3.3-70b-instruct", "ministral-3b", "qwen-32b", "qwen3-32b", "qwen-3-32b")
_FORMATS = {"gpt-oss": "Microsoft", "ministral": "Mistral AI", "llama": "Meta", "qwen": "Alibaba"}
_OF_OPEN = {"sku": "GlobalStandard", "capacity": 100}  # with less an adapter of an open base does not load
_OF_OTHERS = {"sku": "Standard", "capacity": 10}
_VERSION = {"api-version": "2024-10-01"}
_OURS = re.compile(r"dep_[0-9a-z]{26}")
_MAX_PAGES = 100
_STATES: Mapping[str, ProviderState] = {
    "Accepted": ProviderState.STARTING,
    "Creating": ProviderState.STARTING,
    "Updating": ProviderState.STARTING,
    "Moving": ProviderState.STARTING,
    "Deleting": ProviderState.STARTING,  # it is there until it is gone
    "Succeeded": ProviderState.READY,
    "Failed": ProviderState.FAILED,
    "Canceled": ProviderState.FAILED,
    "Disabled": ProviderState.FAILED,
}


class AzureDeployments(OpenAIProvider):
    """The calls of `DeployingProvider`, for an account that has an application."""

    def __init__(self, account: Account, timeout: timedelta, statuses: Mapping[str, JobStatus]) -> None:
        super().__init__(account, timeout, statuses)
        if (application := account.application) is None:
            self._management = None
            return
        url = get_settings().azure.management_url
        signed = Signed(account, application, scope_of_management(url), timeout)
        self._management = RestCalls(replace(account, base_url=url), timeout, _refused, auth=signed)
        self._path = (
            f"/subscriptions/{application.subscription_id}/resourceGroups/{application.resource_group}"
            f"/providers/Microsoft.CognitiveServices/accounts/{application.account}/deployments"
        )

    @property
    def _calls(self) -> RestCalls:
        if self._management is None:
            raise unsupported("The account has no application of Entra ID: without one nothing is deployed from here")
        return self._management

    def create_deployment(self, new: NewDeployment) -> ProviderDeployment:
        with self._errors():
            return _deployment(self._calls.put(calls.path(self._path, new.id), _body(new), _VERSION))

    def find_deployments(self, deployment_id: str) -> list[ProviderDeployment]:
        try:
            return [self._deployed(deployment_id)]
        except ProviderError as error:
            if error.status != 404:
                raise
            return []

    def advance_deployment(self, new: NewDeployment, provider_deployment_id: str) -> ProviderDeployment:
        return self._deployed(provider_deployment_id)

    def _deployed(self, id: str) -> ProviderDeployment:
        with self._errors():
            return _deployment(self._calls.get(calls.path(self._path, id), _VERSION))

    def delete_deployment(self, provider_deployment_id: str) -> None:
        with self._errors():
            self._calls.delete(calls.path(self._path, provider_deployment_id), _VERSION)

    def list_deployments(self) -> list[ProviderDeployment]:
        with self._errors():
            return list(bounded(map(_deployment, self._listed()), "deployments"))

    def _listed(self) -> Iterator[dict[str, Any]]:
        """A page says the whole address of the next one: only what it asks for is followed, never where."""
        query: Mapping[str, Any] = _VERSION
        for _ in range(_MAX_PAGES):
            answer = parsing.json_object(self._calls.get(self._path, query))
            yield from parsing.items({"data": answer.get("value")})
            if (next_link := answer.get("nextLink")) is None:
                return
            query = dict(httpx2.URL(str(next_link)).params)
        raise ValueError(f"the list has more than {_MAX_PAGES} pages")


def _body(new: NewDeployment) -> dict[str, Any]:
    base, options = new.base_model.lower(), new.provider_options
    given = {**(_OF_OPEN if base.startswith(OPEN) else _OF_OTHERS), **options}
    maker = next((format for name, format in _FORMATS.items() if base.startswith(name)), "OpenAI")
    model = {"format": options.get("format", maker), "name": new.model, "version": options.get("version", "1")}
    return {"sku": {"name": given["sku"], "capacity": given["capacity"]}, "properties": {"model": model}}


def _deployment(answer: object) -> ProviderDeployment:
    raw = parsing.json_object(answer)
    name = parsing.id_of({"id": raw.get("name")})
    properties = sanitize.part(raw, "properties")
    word = sanitize.some_text(properties.get("provisioningState"))
    return ProviderDeployment(
        id=name,
        deployment_id=name if _OURS.fullmatch(name) else None,
        provider_status=word or "",
        state=_STATES.get(word) if word else None,
        chat_model=name,
        created_at=sanitize.moment(sanitize.part(raw, "systemData").get("createdAt")),
        error=_reason(properties),
    )


def _reason(properties: Mapping[str, Any]) -> str | None:
    """Where it says why one has failed is not documented."""
    told = properties.get("error") or properties.get("provisioningError")
    return sanitize.some_text(told.get("message") if isinstance(told, dict) else told)


def _refused(response: httpx2.Response) -> ProviderError:
    """While another operation runs on the resource, a refused one has done nothing."""
    sentence, code = refused(response)
    header = response.headers.get("retry-after", "")
    error = refusal(response.status_code, sentence, sanitize.some_text(code), retry_after=retry_after(header))
    if response.status_code == 409:
        error.effect_unknown = False
    return error
