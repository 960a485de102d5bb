"""Asks a process in the trainer's environment what is learnt of examples (`labelled.py`)."""

import json
import subprocess
from typing import Any

from tests.trainer import environment

ANSWER = {"role": "assistant", "content": "A slope."}
ASKED = {"role": "user", "content": "What is a gradient?"}


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def pair(chosen: str, rejected: str) -> dict[str, Any]:
    sides = {"preferred_output": chosen, "non_preferred_output": rejected}
    return {"input": chat(ASKED)} | {side: [{"role": "assistant", "content": text}] for side, text in sides.items()}


def answered(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All by one process, which imports transformers."""
    command = [environment.python(), "-m", "tests.trainer.labelled", str(environment.tiny_base())]
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, cwd=environment.ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))
