"""A client leaves in the middle of its answer, at a moment that is certain; how many tokens are made, and of how many?
`python tests/trainer/serving_cancelled.py BASE SOCKET`, in the trainer's environment."""

import asyncio
import json
import sys
import threading
from pathlib import Path

from trainer.serving.engine import Engine
from trainer.serving.listener import Listener
from trainer.serving.model import Model
from trainer.serving.prompt import Prompts
from trainer.serving.row import Row

TOKENS = 300


class Watched(Engine):
    rows: list[Row]
    goes_on = threading.Event()

    def submit(self, row: Row) -> None:
        self.rows = [row]
        super().submit(row)

    def _step(self) -> None:
        self.goes_on.wait()
        super()._step()


async def main(base: Path, path: Path) -> None:
    model = Model(base, 1)
    engine = Watched(model, 1, 1)
    threading.Thread(target=engine.run, daemon=True).start()
    serving = asyncio.create_task(Listener(engine, Prompts(model.tokenizer, model.context)).run(path, 600))
    while not path.exists():
        await asyncio.sleep(0.01)
    _, writer = await asyncio.open_unix_connection(path)
    request = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": TOKENS, "temperature": 0}
    writer.write(json.dumps(request).encode() + b"\n")
    while not getattr(engine, "rows", None) or not engine.rows[0].completion:
        await asyncio.sleep(0.01)
    writer.close()
    [row] = engine.rows
    while not row.cancelled:
        await asyncio.sleep(0.01)
    engine.goes_on.set()
    while engine._rows:
        await asyncio.sleep(0.01)
    print(json.dumps({"made": len(row.completion), "of": TOKENS}))  # noqa: T201
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
