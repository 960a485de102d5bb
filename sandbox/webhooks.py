"""Sends a webhook when a job ends, signed as OpenAI signs its own, so that receivers can be tested."""

import asyncio
import json
import logging
import urllib.request
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from standardwebhooks import Webhook

from sandbox.runs import Run
from sandbox.state import SandboxState
from wire_server.records import new_id

POLL_INTERVAL_SECONDS = 0.1
ANSWER_TIMEOUT_SECONDS = 5
log = logging.getLogger(__name__)
_tasks: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references to its tasks


class Receiver(BaseModel):
    """The address, and the secret (`whsec_…`) that signs the webhooks."""

    model_config = ConfigDict(extra="forbid")

    url: str
    secret: str


def begin(state: SandboxState, receiver: Receiver) -> None:
    """Sends one webhook for each job that ends from now on, until the state is reset or gets another receiver."""
    state.receiver = receiver
    task = asyncio.get_running_loop().create_task(_send_ends(state, receiver, set(_ended(state))))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _ended(state: SandboxState) -> list[str]:
    return [run.id for run in state.runs.values() if run.is_over]


async def _send_ends(state: SandboxState, receiver: Receiver, sent: set[str]) -> None:
    while state.receiver is receiver:
        state.advance()
        for job_id in _ended(state):
            if job_id not in sent:
                sent.add(job_id)
                await asyncio.to_thread(_send, receiver, state.runs[job_id])
        await asyncio.sleep(POLL_INTERVAL_SECONDS)


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
        urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS).close()
    except (OSError, ValueError) as error:
        log.warning("could not deliver a webhook: %s", error)
