"""What a deployment's step asks the provider for, with no transaction open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from shared.projects.credentials import Account
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.providers import chat_probe
from worker.providers.deploying import DeployingProvider, NewDeployment, ProviderDeployment, ProviderState
from worker.providers.errors import ProviderError
from worker.providers.registry import get_provider


class Work(StrEnum):
    CREATE = "create"
    FIND = "find"  # search the provider for it, as the create may have arrived or not
    LOOK = "look"
    STOP = "stop"


@dataclass(frozen=True)
class Plan:
    """`asks`: a deployment that the provider calls ready is asked for an answer."""

    credential: Credential
    new: NewDeployment
    work: Work
    provider_deployment_id: str = ""
    asks: bool = False


@dataclass(frozen=True)
class Seen:
    """`deployment` is None if the provider does not know it. `refusal`: why the model has not answered a chat."""

    deployment: ProviderDeployment | None
    refusal: ProviderError | None = None


@dataclass(frozen=True)
class Stopped:
    """`is_gone`: nothing of it runs any more."""

    is_gone: bool


Answer = Seen | Stopped


def provider_of(credential: Credential) -> DeployingProvider:
    """The registry's test says that each client has the methods whose capabilities say `needs_deployment`."""
    return cast(DeployingProvider, get_provider(credential))


def call(plan: Plan) -> Answer:
    return _CALLS[plan.work](provider_of(plan.credential), plan)


def _create(provider: DeployingProvider, plan: Plan) -> Answer:
    return Seen(provider.create_deployment(plan.new))


def _find(provider: DeployingProvider, plan: Plan) -> Answer:
    """Of several the oldest is kept: the others are the work of creates that came late."""
    found = provider.find_deployments(plan.new.id)
    for surplus in found[1:]:
        delete(provider, surplus.id)
    return Seen(found[0] if found else None)


def _look(provider: DeployingProvider, plan: Plan) -> Answer:
    try:
        seen = provider.advance_deployment(plan.new, plan.provider_deployment_id)
    except ProviderError as error:
        if error.status != 404:
            raise
        return Seen(None)
    if not plan.asks or seen.state is not ProviderState.READY or seen.chat_model is None:
        return Seen(seen)
    try:
        chat_probe.ask(Account.of(plan.credential), seen.chat_model, get_settings().provider.timeout)
    except ProviderError as error:
        return Seen(seen, error)
    return Seen(seen)


def _stop(provider: DeployingProvider, plan: Plan) -> Answer:
    delete(provider, plan.provider_deployment_id)
    left = [each for each in provider.find_deployments(plan.new.id) if each.state is not ProviderState.STOPPED]
    for each in left:
        if each.id != plan.provider_deployment_id:
            delete(provider, each.id)
    return Stopped(not left)


def delete(provider: DeployingProvider, provider_deployment_id: str) -> None:
    """One that is gone already is as good as deleted."""
    try:
        provider.delete_deployment(provider_deployment_id)
    except ProviderError as error:
        if error.status != 404:
            raise


_CALLS: Mapping[Work, Callable[[DeployingProvider, Plan], Answer]] = {
    Work.CREATE: _create,
    Work.FIND: _find,
    Work.LOOK: _look,
    Work.STOP: _stop,
}
