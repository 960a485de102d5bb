"""What happens to rows when a client leaves, or memory ends, at a moment that is certain: `python
tests/trainer/serving_troubles.py BASE SOCKET`, in the trainer's environment. Its last line says what was seen."""

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from trainer.serving.engine import Engine
from trainer.serving.listener import Listener
from trainer.serving.model import Model
from trainer.serving.prompt import Prompts
from trainer.serving.request import Request
from trainer.serving.row import Row

TOKENS = 300


class Watched(Engine):
    """Steps only when it may."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, most_rows=4, most_waiting=4)
        self.rows: list[Row] = []
        self.may_step = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def submit(self, row: Row) -> None:
        self.rows.append(row)
        super().submit(row)

    def _step(self) -> None:
        if all(row.completion for row in self.rows):  # so all that were submitted are in the batch
            self.may_step.wait()
            super()._step()


async def client_leaves(model: Model, path: Path) -> dict[str, int]:
    """How many tokens were made, and of how many."""
    engine = Watched(model)
    serving = asyncio.create_task(Listener(engine, Prompts(model.tokenizer, model.context)).run(path, 600))
    while not path.exists():
        await asyncio.sleep(0.01)
    _, writer = await asyncio.open_unix_connection(path)
    request = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": TOKENS, "temperature": 0}
    writer.write(json.dumps(request).encode() + b"\n")
    while not engine.rows or not engine.rows[0].completion:
        await asyncio.sleep(0.01)
    writer.close()
    while not engine.rows[0].cancelled:
        await asyncio.sleep(0.01)
    engine.may_step.set()
    while engine._rows:
        await asyncio.sleep(0.01)
    serving.cancel()
    return {"made": len(engine.rows[0].completion), "of": TOKENS}


async def request_fails(model: Model, path: Path) -> list[Any]:
    """The last line of a request at which the listener fails, and of the next one."""

    class Broken(Prompts):
        def encode(self, request: Request) -> tuple[list[int], int]:
            if request.messages[0]["content"] == "break":
                raise RuntimeError("a mistake")
            return super().encode(request)

    engine = Engine(model, most_rows=4, most_waiting=4)
    threading.Thread(target=engine.run, daemon=True).start()
    serving = asyncio.create_task(Listener(engine, Broken(model.tokenizer, model.context)).run(path, 600))
    while not path.exists():
        await asyncio.sleep(0.01)
    lines = []
    for content in ("break", "Hi"):
        reader, writer = await asyncio.open_unix_connection(path)
        request = {"messages": [{"role": "user", "content": content}], "max_tokens": 3}
        writer.write(json.dumps(request).encode() + b"\n")
        lines.append(json.loads((await reader.read()).splitlines()[-1]))
        writer.close()
    serving.cancel()
    return lines


async def turn_fails(model: Model) -> list[Any]:
    """The last lines of two requests: while the first is answered, the engine fails between two steps."""

    class Failing(Watched):
        has_failed = False

        def _drop_finished(self) -> None:
            if self._rows and not self.has_failed:
                self.has_failed = True
                raise torch.OutOfMemoryError("CUDA out of memory")
            super()._drop_finished()

    engine, prompts, last = Failing(model), Prompts(model.tokenizer, model.context), []
    engine.may_step.set()
    for _ in range(2):
        request = Request(messages=[{"role": "user", "content": "Hi"}], temperature=0, max_tokens=20)
        lines: list[Any] = []
        row = Row(request, *prompts.encode(request), lines.append)
        engine.rows = [row]
        Engine.submit(engine, row)
        while not row.is_done:
            await asyncio.sleep(0.01)
        last.append(lines[-1])
    return last


async def step_fails(model: Model, error: Exception) -> dict[str, Any]:
    """Three rows share a batch, and the second layer fails while three do. Their last lines, and texts, of each."""
    prompts = Prompts(model.tokenizer, model.context)
    requests = [
        Request(messages=[{"role": "user", "content": content}], temperature=0, max_tokens=20)
        for content in ("Hi", "The slope " * 20, "What is a gradient?")
    ]
    alone = [await _answers(model, prompts, [request]) for request in requests]
    layer = model.adapters.model.get_base_model().model.layers[1]

    def fail(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[0] == 3:
            raise error

    hook = layer.register_forward_pre_hook(fail)
    together = await _answers(model, prompts, requests)
    hook.remove()
    return {"alone": [answer for [answer] in alone], "together": together}


async def _answers(model: Model, prompts: Prompts, requests: list[Request]) -> list[list[Any]]:
    engine = Watched(model)
    lines: list[list[Any]] = [[] for _ in requests]
    rows = [
        Row(request, *prompts.encode(request), of_one.append) for request, of_one in zip(requests, lines, strict=True)
    ]
    engine.rows = list(rows)
    for row in rows:
        Engine.submit(engine, row)
    engine.may_step.set()
    while not all(row.is_done for row in rows):
        await asyncio.sleep(0.01)
    return [["".join(line.get("text", "") for line in of_one), of_one[-1]] for of_one in lines]


async def main(base: Path, path: Path) -> None:
    model = Model(base, 1)
    seen = {
        "client leaves": await client_leaves(model, path),
        "no memory": await step_fails(model, torch.OutOfMemoryError("CUDA out of memory")),
        "no memory on the host": await step_fails(model, RuntimeError("DefaultCPUAllocator: can't allocate memory")),
        "request fails": await request_fails(model, path.with_name("other")),
        "turn fails": await turn_fails(model),
        "a mistake": await step_fails(model, RuntimeError("a mistake")),
    }
    print(json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
