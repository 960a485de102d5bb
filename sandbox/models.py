"""`/v1/models`: the bases OpenAI had, from a table with their closing dates, and what was tuned on them here.

The sandbox goes on serving a base after its date, so that a tutorial written in its time still runs.
"""

from pathlib import Path

import msgspec
from fastapi import APIRouter
from msgspec import Struct
from starlette.responses import Response

from sandbox.errors import ApiError
from sandbox.records import Model
from sandbox.state import State, StateDep
from sandbox.wire import answer, deleted


class Base(Struct, frozen=True):
    """A base model: Unix time of its making, the day it closes or closed, and the methods it can be tuned with."""

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
"""Base models by every name they answer to: snapshots and aliases."""

router = APIRouter(prefix="/v1/models")


def not_found(name: str) -> ApiError:
    message = f"The model '{name}' does not exist or you do not have access to it."
    return ApiError(404, message, code="model_not_found", param="model")


def find(state: State, name: str) -> Model:
    """The model as the wire shows it. 404 `model_not_found` if there is none of that name."""
    if name in BASES:
        return BASES[name].described(name)
    if name in state.models:
        return state.models[name].model
    raise not_found(name)


def snapshot(name: str) -> str:
    """The full name behind an alias; any other name as it is."""
    return BASES[name].id if name in BASES else name


@router.get("")
async def list_models(state: StateDep) -> Response:
    """Every base under every name, then the tuned models and checkpoints; not paged."""
    bases = [base.described(name) for name, base in sorted(BASES.items())]
    tuned = [tuned.model for tuned in state.models.values()]
    return answer({"object": "list", "data": bases + tuned})


@router.get("/{model}")
async def retrieve_model(model: str, state: StateDep) -> Response:
    return answer(find(state, model))


@router.delete("/{model}")
async def delete_model(model: str, state: StateDep) -> Response:
    """Delete a tuned model. A base belongs to everyone: 403."""
    find(state, model)
    if model in BASES:
        raise ApiError(403, "Only fine-tuned models can be deleted, by an owner of their organization.", param="model")
    del state.models[model]
    return deleted("model", model)
