"""Finds models: OpenAI's base models (models.json), and those tuned in this sandbox.

Base models that OpenAI has stopped have their shutdown date; the sandbox serves them all the same. The others have
none, so that the sandbox can be used on any day.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from sandbox.errors import ApiError
from sandbox.records import Model
from sandbox.state import State


class Base(Struct, frozen=True):
    """A base model: the Unix time of its creation, its shutdown date, and the methods that can tune it."""

    id: str
    created: int
    shutdown_date: str | None
    methods: list[str]

    def described(self, name: str) -> Model:
        return Model(id=name, created=self.created, owned_by="system", shutdown_date=self.shutdown_date)


class _Table(Struct, frozen=True):
    aliases: dict[str, str]
    models: list[Base]


_TABLE = msgspec.json.decode(Path(__file__).with_name("models.json").read_bytes(), type=_Table)
BASES = {base.id: base for base in _TABLE.models}
BASES |= {alias: BASES[snapshot] for alias, snapshot in _TABLE.aliases.items()}
"""Base models by each of their names: snapshots and aliases."""


def not_found(name: str) -> ApiError:
    message = f"The model '{name}' does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found", param="model")


def find(state: State, name: str) -> Model:
    """The model as the wire shows it. Raises ApiError 404 `model_not_found` if there is none of this name."""
    if name in BASES:
        return BASES[name].described(name)
    if name in state.models:
        return state.models[name].model
    raise not_found(name)


def snapshot(name: str) -> str:
    """The full name behind an alias; any other name as it is."""
    return BASES[name].id if name in BASES else name
