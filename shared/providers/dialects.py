"""How requests to each kind of provider are addressed and signed: what api and worker both need to know of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """The kind of a provider. `azure` takes the key in another header; `trainer` is the provider of our own."""

    OPENAI = "openai"
    AZURE = "azure"
    TRAINER = "trainer"


@dataclass(frozen=True)
class Addressing:
    """`headers` are made of the account's key; `chat_path` is added to the account's base URL."""

    headers: Callable[[str], dict[str, str]]
    chat_path: str = "/chat/completions"


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _api_key(key: str) -> dict[str, str]:
    return {"api-key": key}


ADDRESSING: Mapping[Dialect, Addressing] = {
    Dialect.OPENAI: Addressing(headers=_bearer),
    Dialect.AZURE: Addressing(headers=_api_key),
    Dialect.TRAINER: Addressing(headers=_bearer),
}
