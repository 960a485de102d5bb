"""Bases whose serving processes are stand-ins, and what tests ask of them."""

import sys
from pathlib import Path
from typing import Any

from trainer.server.serving.builtin import ServedBase
from trainer.server.serving.lines import Unavailable
from trainer.server.serving.pool import Serving

END = {"end": "stop", "prompt_tokens": 1, "completion_tokens": 1}

Line = dict[str, Any]


def python(folder: Path) -> Path:
    """Starts the stand-in, whatever module it is asked to run."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("stand_in_serving.py")} "$@"\n')
    program.chmod(0o700)
    return program


def make_base(folder: Path, name: str, *files: str) -> Path:
    base = folder / name
    base.mkdir()
    for file in files:
        (base / file).touch()
    return base


def pids(base: Path) -> list[int]:
    return [int(line) for line in (base / "pids").read_text().split()]


def request(said: str) -> Line:
    return {"messages": [{"role": "user", "content": said}]}


async def ask(served: ServedBase, said: str = "Hi") -> list[Line]:
    try:
        return [line async for line in served.ask({"adapter": None, **request(said)})]
    except Unavailable as unavailable:
        return [unavailable.line]


async def reply(serving: Serving, base: Path, said: str = "Hi", adapter: str | None = None) -> list[Line]:
    return [line async for line in serving.reply(str(base), adapter, request(said))]
