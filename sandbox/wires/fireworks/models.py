"""Models of the catalogue and of the account, and chats with them, which are on OpenAI's wire."""

from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox import deployments
from sandbox.models import Base
from sandbox.records import TunedModel
from sandbox.wires.fireworks.access import AccountDep, EngineDep, page, time
from sandbox.wires.fireworks.engine import FireworksSandbox
from sandbox.wires.fireworks.status import NOT_FOUND, StatusError
from wire_server.answers import answer
from wire_server.chat import ChatRequest
from wire_server.routes import chat
from wire_server.routes.bounded import BoundedRoute

router = APIRouter(prefix="/v1/accounts")
chat_router = APIRouter(prefix="/inference/v1/chat/completions", route_class=BoundedRoute)


def _base(base: Base) -> dict[str, Any]:
    shutdown = date.fromisoformat(base.shutdown_date) if base.shutdown_date else None
    return {
        "name": base.id,
        "kind": "HF_BASE_MODEL",
        "state": "READY",
        "createTime": time(base.created),
        "tunable": bool(base.methods),
        "supportsLora": bool(base.methods),
        "deprecationDate": {"year": shutdown.year, "month": shutdown.month, "day": shutdown.day} if shutdown else None,
    }


def _tuned(model: TunedModel) -> dict[str, Any]:
    return {
        "name": model.model.id,
        "kind": "HF_PEFT_ADDON",
        "state": "READY",
        "createTime": time(model.model.created),
        "peftDetails": {"baseModel": model.base, "r": 8, "targetModules": ["q_proj", "v_proj"]},
    }


def _own(engine: FireworksSandbox) -> list[TunedModel]:
    """Without the checkpoints that the engine keeps: this wire has none."""
    return [model for name, model in engine.tuned.items() if ":ckpt-" not in name]


@router.get("/fireworks/models")
async def list_catalogue(request: Request, engine: EngineDep) -> Response:
    return answer(page(request, "models", list(engine.models.values()), _base))


@router.get("/{account}/models")
async def list_models(request: Request, engine: AccountDep) -> Response:
    return answer(page(request, "models", _own(engine), _tuned))


def _find(engine: FireworksSandbox, id: str) -> TunedModel:
    name = f"accounts/{engine.account}/models/{id}"
    if name not in engine.tuned:
        raise StatusError(NOT_FOUND, f"model {name} not found")
    return engine.tuned[name]


def weights_of(model: str) -> dict[str, bytes]:
    """The files of a tuned model, by name: the same bytes each time, which are no weights."""
    return {"adapter_config.json": b"{}\n", "adapter_model.safetensors": f"The weights of {model}.\n".encode() * 5000}


@router.get("/{account}/models/{model}:getDownloadEndpoint")
async def get_download_endpoint(model: str, request: Request, engine: AccountDep) -> Response:
    _find(engine, model)
    urls = {name: engine.signed(request, f"weights/{model}/{name}") for name in weights_of(model)}
    return answer({"filenameToSignedUrls": urls})


@router.get("/{account}/models/{model}")
async def retrieve_model(model: str, engine: AccountDep) -> Response:
    return answer(_tuned(_find(engine, model)))


@router.delete("/{account}/models/{model}")
async def delete_model(model: str, engine: AccountDep) -> Response:
    engine.delete_model(_find(engine, model).model.id)
    return answer({})


@chat_router.post("")
async def create_chat_completion(request: ChatRequest, engine: EngineDep, connection: Request) -> Response:
    """A tuned model answers where it is deployed, or if models need not be."""
    if not engine.switches.serverless or request.model not in engine.tuned:
        request.model = deployments.model_of(engine, request.model)
    return await chat.create_chat_completion(request, engine, connection)
