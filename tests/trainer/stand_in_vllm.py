"""Stands in for vLLM 0.33: `stand_in_vllm.py FOLDER [--port N …]`, with its paths, its errors and its oddities.

An answer names the folder of the weights that gave it. What a chat says makes it misbehave. `--log` names a file that
tells what was asked of it.
"""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

CONTEXT = 200  # characters
KEY = os.environ.get("VLLM_API_KEY", "")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--served-model-name", default="")
    parser.add_argument("--generation-config", default="auto")
    parser.add_argument("--max-loras", type=int, default=1)
    parser.add_argument("--max-lora-rank", type=int, default=16)
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    app = application(options)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=1)


class Engine:
    """What vLLM has in memory: the last `max_loras` adapters; names and paths are kept for all."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.base = options.served_model_name or options.model
        self.paths: dict[str, str] = {}
        self.in_memory: list[str] = []

    def add(self, name: str, path: str) -> None:
        """Raises ValueError."""
        rank = json.loads((Path(path) / "adapter_config.json").read_text())["r"]
        if rank > self.options.max_lora_rank:
            raise ValueError(f"LoRA rank {rank} is greater than max_lora_rank {self.options.max_lora_rank}.")
        self.paths[name] = path
        self.in_memory = [*self.in_memory, name][-self.options.max_loras :]

    def log(self, what: str, **more: object) -> None:
        with self.options.log.open("a") as lines:
            lines.write(json.dumps({"what": what, "pid": os.getpid(), **more}) + "\n")


def error(message: str, kind: str, status: int, param: str | None = None) -> Response:
    told = {"message": message, "type": kind, "param": param, "code": status}
    return JSONResponse({"error": told}, status)


def application(options: argparse.Namespace) -> FastAPI:
    app, engine = FastAPI(), Engine(options)
    engine.log("started", options={name: str(value) for name, value in vars(options).items()})

    @app.middleware("http")
    async def check_key(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if KEY and request.url.path.startswith("/v1") and request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": "Unauthorized"}, 401)
        return await answer(request)

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        base = {"id": engine.base, "object": "model", "owned_by": "vllm", "root": options.model, "parent": None}
        adapters = [base | {"id": name, "root": path, "parent": engine.base} for name, path in engine.paths.items()]
        return {"object": "list", "data": [base, *adapters]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return answer_chat(engine, await request.json(), request)

    if os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1":
        add_lora_routes(app, engine)
    return app


def add_lora_routes(app: FastAPI, engine: Engine) -> None:
    @app.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        asked = await request.json()
        name, path = asked["lora_name"], asked["lora_path"]
        if name in engine.paths:
            message = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place,"
            return error(f"{message} set 'load_inplace' to True.", "InvalidUserInput", 400)
        if not (Path(path) / "adapter_config.json").exists():
            message = f"Loading lora {name} failed: No adapter found for {path}"
            return error(message, "NotFoundError", 404)
        try:
            engine.add(name, path)
        except ValueError as reason:
            return error(str(reason), "InternalServerError", 500)
        engine.log("load", name=name, path=path)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        name = (await request.json())["lora_name"]
        if name not in engine.paths:
            return error(f"The lora adapter '{name}' cannot be found.", "NotFoundError", 404)
        if name not in engine.in_memory:
            return error(f"Failed to remove lora adapter '{name}' from the engine.", "InternalServerError", 500)
        del engine.paths[name]
        engine.in_memory.remove(name)
        engine.log("unload", name=name)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")


def answer_chat(engine: Engine, asked: dict[str, Any], request: Request) -> Response:
    model, said = asked["model"], asked["messages"][-1]["content"]
    engine.log(
        "chat", model=model, said=said, asked={name: value for name, value in asked.items() if name != "messages"}
    )
    if model != engine.base and model not in engine.paths:
        return error(f"The model `{model}` does not exist.", "NotFoundError", 404, "model")
    if len(said) > CONTEXT:
        message = f"This model's maximum context length is {CONTEXT} tokens. However, your prompt contains {len(said)}"
        hint = "Please reduce the length of the input prompt."
        return error(f"{message} input tokens. {hint}", "BadRequestError", 400, "input_tokens")
    if not 0 < asked["top_p"] <= 1:
        return error("top_p must be in (0, 1].", "BadRequestError", 400, "top_p")
    if asked.get("tools") and asked.get("tool_choice", "auto") == "auto":
        message = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        return error(message, "BadRequestError", 400)
    if said == "tell the key":
        return error(f"The header was {request.headers.get('authorization')}", "BadRequestError", 400)
    if said == "busy":
        return JSONResponse({"error": {"message": "overloaded", "type": "x", "param": None, "code": 503}}, 503)
    text = f"I am {engine.paths.get(model, engine.options.model)}"
    return StreamingResponse(stream(engine, asked, said, text), media_type="text/event-stream")


async def stream(engine: Engine, asked: dict[str, Any], said: str, text: str) -> AsyncIterator[str]:
    words = [f"{word} " for word in text.split()][: asked.get("max_tokens")]
    yield event(asked, [choice({"role": "assistant", "content": ""})])
    for number, word in enumerate(words):
        yield event(asked, [choice({"content": word}, logprobs=logprobs(asked, word))])
        if number == 0 and said == "explode":
            told = {"message": f"EngineCore failed, key {KEY}", "type": "InternalServerError", "code": 500}
            yield f"data: {json.dumps({'error': told})}\n\ndata: [DONE]\n\n"
            return
        if number == 0 and said.startswith("{"):
            yield f"data: {said}\n\n{event(asked, [choice({}, 'stop')])}data: [DONE]\n\n"
            return
        if number == 0 and said == "wait":
            try:
                await asyncio.sleep(600)
            finally:
                engine.log("left")
    yield event(asked, [choice({"content": ""}, "length" if len(words) < len(text.split()) else "stop")])
    usage = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
    yield event(asked, [], usage=usage)
    yield "data: [DONE]\n\n"


def event(asked: dict[str, Any], choices: list[dict[str, Any]], **more: object) -> str:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
    return f"data: {json.dumps({**chunk, 'choices': choices, **more})}\n\n"


def choice(delta: dict[str, str], reason: str | None = None, logprobs: object = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason, "token_ids": None}


def logprobs(asked: dict[str, Any], word: str) -> dict[str, Any] | None:
    if not asked.get("logprobs"):
        return None
    entry = {"token": word, "logprob": -0.5, "bytes": list(word.encode())}
    return {"content": [entry | {"top_logprobs": [entry] * asked.get("top_logprobs", 0)}]}


if __name__ == "__main__":
    main()
