"""`python -m trainer.serving --base FOLDER --socket PATH`: answers chats until stdin ends or nobody asks."""

import argparse
import asyncio
import os
import sys
import threading
from pathlib import Path

from trainer.job.failures import OUT_OF_MEMORY


def main() -> None:
    arguments = _parsed()
    threading.Thread(target=_leave_with_parent, args=(arguments.socket,), daemon=True).start()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two spinning threads on busy cores take eight times as long
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Imported here: it takes seconds, during which the parent may die.
    import torch
    from transformers.utils import logging

    from trainer.serving import memory
    from trainer.serving.engine import Engine
    from trainer.serving.listener import Listener
    from trainer.serving.model import CannotServe, Model
    from trainer.serving.prompt import Prompts

    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    try:
        model = Model(arguments.base, arguments.max_adapters, arguments.device)
    except Exception as error:
        print(f"The base cannot be loaded: {error}", file=sys.stderr)  # noqa: T201
        if memory.is_exhausted(error):
            sys.exit(OUT_OF_MEMORY)
        if isinstance(error, (CannotServe, OSError, ValueError)):
            sys.exit(1)
        raise
    engine = Engine(model, arguments.max_batch, most_waiting=16 * arguments.max_batch)
    threading.Thread(target=engine.run, daemon=True).start()
    listener = Listener(engine, Prompts(model.tokenizer, model.context))
    asyncio.run(listener.run(arguments.socket, arguments.idle_seconds))
    _leave(arguments.socket)


def _leave_with_parent(socket: Path) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _leave(socket)


def _leave(socket: Path) -> None:
    """At once: nothing is lost, and a thread in the middle of a step cannot be stopped otherwise."""
    socket.unlink(missing_ok=True)
    os._exit(0)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer.serving", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of the base's weights and tokenizer")
    parser.add_argument("--socket", type=Path, required=True, help="path of the Unix socket to listen on")
    parser.add_argument("--device", default="auto", help="cpu, or a GPU such as cuda:1; auto: the first GPU, if any")
    parser.add_argument("--threads", type=_count, default=1, help="CPU threads")
    parser.add_argument("--idle-seconds", type=float, default=600.0, help="leave when nobody has asked for so long")
    parser.add_argument("--max-adapters", type=_count, default=8, help="adapters kept in memory")
    parser.add_argument("--max-batch", type=_count, default=8, help="requests answered at once")
    return parser.parse_args()


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    main()
