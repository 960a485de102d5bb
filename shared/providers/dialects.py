"""How requests to each kind of provider are addressed and signed: what api and worker both need to know of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """The kind of a provider. `azure` takes a key in another header; `trainer` is the provider of our own.

    `nebius`: Nebius Token Factory. `mantle`: AWS Bedrock's service with OpenAI's wire. `fireworks`: Fireworks AI, and
    `together`: Together AI, which have wires of their own.
    """

    OPENAI = "openai"
    AZURE = "azure"
    TRAINER = "trainer"
    NEBIUS = "nebius"
    MANTLE = "mantle"
    FIREWORKS = "fireworks"
    TOGETHER = "together"


class Endpoint(StrEnum):
    """Where a model is asked: a path below the address of a provider's models, and below our own `/v1`."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    RESPONSES = "responses"


@dataclass(frozen=True)
class Addressing:
    """How a kind of provider is addressed.

    `headers` are made of the account's key, `address_of_models` of its base URL. `endpoints`: those that it has.
    `is_private(base_url, model)`: the name may lead to what somebody has made or stored in the account itself, where
    such names have no form by which they are known at any provider. `address`: of all accounts, where they share one.
    """

    headers: Callable[[str], dict[str, str]]
    address: str | None = None
    endpoints: frozenset[Endpoint] = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
    address_of_models: Callable[[str], str] = lambda base_url: base_url
    is_private: Callable[[str, str], bool] = lambda base_url, model: False

    def url_of(self, endpoint: Endpoint, base_url: str) -> str:
        return f"{self.address_of_models(base_url)}/{endpoint}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _api_key(key: str) -> dict[str, str]:
    return {"api-key": key}


def _fireworks_models(base_url: str) -> str:
    """An account's address is `…/v1/accounts/{account}`; the models of all accounts have one address."""
    return f"{base_url.partition('/v1/accounts/')[0]}/inference/v1"


_ALL, _CHAT_ALONE = frozenset(Endpoint), frozenset({Endpoint.CHAT})
_FIREWORKS_MODEL = re.compile(r"accounts/([\w-]+)/models/[\w.-]+", re.ASCII)


def _is_private_at_fireworks(base_url: str, model: str) -> bool:
    """Only the whole name of a model of another account is not: parts of a name may be completed there."""
    found = _FIREWORKS_MODEL.fullmatch(model.casefold())
    return found is None or found[1] == base_url.rpartition("/")[2].casefold()


ADDRESSING: Mapping[Dialect, Addressing] = {
    Dialect.OPENAI: Addressing(headers=bearer, endpoints=_ALL, address="https://api.openai.com/v1"),
    Dialect.AZURE: Addressing(headers=_api_key, endpoints=_ALL),
    Dialect.TRAINER: Addressing(headers=bearer, endpoints=_CHAT_ALONE),
    Dialect.NEBIUS: Addressing(headers=bearer, address="https://api.tokenfactory.nebius.com/v1"),
    Dialect.MANTLE: Addressing(headers=bearer, endpoints=frozenset({Endpoint.CHAT, Endpoint.RESPONSES})),
    Dialect.FIREWORKS: Addressing(
        headers=bearer,
        endpoints=_ALL,
        address_of_models=_fireworks_models,
        is_private=_is_private_at_fireworks,
    ),
    Dialect.TOGETHER: Addressing(headers=bearer, address="https://api.together.ai/v1"),
}
