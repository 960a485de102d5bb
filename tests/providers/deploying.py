"""Who deploys in the tests: the providers that need it, and one of tests with the sandbox's `/v1/deployments`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, cast

from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from tests.providers.stand_ins import STAND_INS, Far, StandIn
from tests.world import Sandbox
from worker.providers import chat_probe, sanitize
from worker.providers.deploying import DeployingProvider, NewDeployment, ProviderDeployment, ProviderState
from worker.providers.openai import parsing
from worker.providers.openai.calls import path
from worker.providers.openai.client import OpenAIProvider

_STATES = {state.value: state for state in ProviderState}


class ProviderOfTests(OpenAIProvider):
    def create_deployment(self, new: NewDeployment) -> ProviderDeployment:
        with self._errors():
            return _deployment(self._json.post("/deployments", {"name": new.id, "model": new.model}))

    def find_deployments(self, deployment_id: str) -> list[ProviderDeployment]:
        ours = [each for each in self.list_deployments() if each.deployment_id == deployment_id]
        return ours[::-1]

    def advance_deployment(self, new: NewDeployment, provider_deployment_id: str) -> ProviderDeployment:
        with self._errors():
            return _deployment(self._json.get(path("/deployments", provider_deployment_id)))

    def delete_deployment(self, provider_deployment_id: str) -> None:
        with self._errors():
            self._json.delete(path("/deployments", provider_deployment_id))

    def list_deployments(self) -> list[ProviderDeployment]:
        with self._errors():
            return [_deployment(raw) for raw in self._json.items("/deployments")]


def _deployment(answer: Any) -> ProviderDeployment:
    raw = parsing.json_object(answer)
    name, word = sanitize.some_text(raw.get("name")) or "", sanitize.text(raw.get("status"))
    return ProviderDeployment(
        id=parsing.id_of(raw),
        deployment_id=name if name.startswith("dep_") else None,
        provider_status=word,
        state=_STATES.get(word),
        chat_model=sanitize.some_text(raw.get("chat_model")),
        created_at=parsing.created_at(raw),
        error=sanitize.some_text(raw.get("error")),
    )


OURS, OTHERS = "dep_01m8aaaaaaaaaaaaaaaaaaaaaa", "dep_01m8bbbbbbbbbbbbbbbbbbbbbb"
_DEPLOYMENTS = "/v1/deployments"
OF_TESTS = replace(
    next(stand_in for stand_in in STAND_INS if stand_in.dialect is Dialect.OPENAI),
    name="of tests",
    wire="deploying",
    calls={
        "create_job": ("POST", "/v1/fine_tuning/jobs"),
        "create_deployment": ("POST", _DEPLOYMENTS),
        "find_deployments": ("GET", _DEPLOYMENTS),
        "advance_deployment": ("GET", f"{_DEPLOYMENTS}/*"),
        "delete_deployment": ("DELETE", f"{_DEPLOYMENTS}/*"),
        "list_deployments": ("GET", _DEPLOYMENTS),
    },
    odd_deployments=[None, [], "<html>", 5, {}, {"data": None}, {"data": [5]}, {"data": [{"id": None}]}],
)
DEPLOYING = [OF_TESTS, *(each for each in STAND_INS if each.deploys)]


class Deploying(Far):
    """The provider's client, seen as one that deploys."""

    def __init__(self, stand_in: StandIn, sandbox: Sandbox) -> None:
        super().__init__(stand_in, sandbox)
        self.new = self._new_deployment()

    @property
    def deployer(self) -> DeployingProvider:
        return cast(DeployingProvider, self.provider)

    def _new_deployment(self) -> NewDeployment:
        """Of a model that a job has made."""
        job = self.running_job()
        self.sandbox.move(job.id, status="succeeded")
        done = self.provider.get_job(job.id)
        assert done.fine_tuned_model is not None
        return NewDeployment(OURS, done.fine_tuned_model, job.id, None, done.model or "")

    def create(self, id: str = OURS) -> ProviderDeployment:
        return self.deployer.create_deployment(replace(self.new, id=id))

    def look(self, deployment: ProviderDeployment) -> ProviderDeployment:
        return self.deployer.advance_deployment(self.new, deployment.id)

    def move(self, id: str = OURS, **where: Any) -> None:
        self.sandbox.http.post(f"/sandbox/deployments/{id}", json=where).raise_for_status()

    def ready(self) -> ProviderDeployment:
        """One that is ready, once each call is made that it takes."""
        made = self.create()
        self.look(made)
        self.move(status="ready")
        return self.until(made, lambda seen: seen.state is ProviderState.READY)

    def until(self, made: ProviderDeployment, is_so: Callable[[ProviderDeployment], bool]) -> ProviderDeployment:
        """What a look shows that shows this: a provider may need several calls, each of which is a look."""
        for _ in range(5):
            if is_so(seen := self.look(made)):
                return seen
        raise AssertionError(seen)

    def found(self, id: str = OURS) -> list[str]:
        return [each.id for each in self.deployer.find_deployments(id)]

    def ask(self, chat_model: str | None) -> None:
        assert chat_model is not None
        address, stand_in = f"{self.sandbox.address}{self.stand_in.base}", self.stand_in
        account = Account(None, None, address, stand_in.dialect, 0, None, stand_in.options)
        chat_probe.ask(account, chat_model, timedelta(seconds=30))


@cache
def client_of_tests(
    dialect: Dialect, base_url: str, timeout: timedelta = timedelta(seconds=30), options: tuple[()] = ()
) -> ProviderOfTests:
    return ProviderOfTests(Account(None, None, base_url, dialect, 0, None), timeout, parsing.STATUSES)
