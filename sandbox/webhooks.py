"""Tells a webhook how jobs ended, signed as OpenAI signs, so that its receivers can be tried."""

import asyncio
import json
import logging
import urllib.request
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from standardwebhooks import Webhook

from sandbox.records import FINAL, new_id
from sandbox.runs import Run
from sandbox.state import State

EVERY = 0.1
"""Seconds between two looks at what has ended."""

SECONDS_TO_ANSWER = 5
log = logging.getLogger(__name__)
_tasks: set[asyncio.Task[None]] = set()


class Receiver(BaseModel):
    """Where to tell, and the secret (`whsec_…`) to sign with."""

    model_config = ConfigDict(extra="forbid")

    url: str
    secret: str


def begin(state: State, receiver: Receiver) -> None:
    """From now on tell of each job that ends, once, until the state is reset or another receiver is named."""
    state.receiver = receiver
    task = asyncio.get_running_loop().create_task(_tell_all(state, receiver, set(_ended(state))))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _ended(state: State) -> list[str]:
    return [run.id for run in state.runs.values() if run.job.status in FINAL]


async def _tell_all(state: State, receiver: Receiver, told: set[str]) -> None:
    while state.receiver is receiver:
        state.advance()
        for job_id in _ended(state):
            if job_id not in told:
                told.add(job_id)
                await asyncio.to_thread(_send, receiver, state.runs[job_id])
        await asyncio.sleep(EVERY)


def _send(receiver: Receiver, run: Run) -> None:
    now = datetime.now(UTC)
    event = {"id": new_id("evt_"), "object": "event", "created_at": int(now.timestamp())}
    body = json.dumps(event | {"type": f"fine_tuning.job.{run.job.status}", "data": {"id": run.id}})
    id = new_id("wh_")
    headers = {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(receiver.secret).sign(id, now, body),
    }
    try:
        request = urllib.request.Request(receiver.url, body.encode(), headers)
        urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        log.warning("a webhook was not taken: %s", error)
