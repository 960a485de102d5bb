"""`tunery demo`: a whole fine-tuning job on this machine, with the official SDK as the client."""

import os
import queue
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from cli import running_up
from cli.failure import Failure
from cli.local.environment import FOR_CLIENTS, StackOptions, only_one, without_proxy
from cli.local.receiver import Receiver
from cli.local.screen import Screen
from cli.local.stack import Stack, running
from cli.local.trainer import LocalTrainer
from cli.processes.ports import PortReservations

if TYPE_CHECKING:  # the import takes half a second
    from cli.local.story import Story

SETTINGS = {
    "SANDBOX_SPEED": "24",  # a job of one second
    "TUNERY_POLL_EVERY": "0.2",
    "TUNERY_SWEEP_EVERY": "0.2",
}
WHILE_TRAINING = {"TUNERY_POLL_EVERY": "1", "TUNERY_SWEEP_EVERY": "1"}  # the processors are for the training
PATIENCE_OF_CLIENT = 300  # seconds; the trainer's first answer waits for the base to be loaded
QUICK = 0.3  # seconds to stop in: nothing of a demo is worth waiting for, and what matters is in Postgres


def run(state: Path, trainer: LocalTrainer | None = None) -> None:
    """Returns when each step was seen to happen; Failure otherwise. In both cases no process is left."""
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    _forget_the_callers_client()
    Thread(target=import_module, args=(_story(trainer),), daemon=True).start()  # half a second, while the servers start
    screen = Screen()
    learns = "" if trainer is None else " The model learns for real."
    screen.title(f"A whole fine-tuning job on this machine. Nothing leaves it, and nothing is paid for.{learns}")
    events: queue.Queue[dict[str, Any]] = queue.Queue()
    with only_one(state), PortReservations(state / running_up.PORTS) as ports_held:
        receiver = Receiver(ports_held.claim("webhooks"), on_event=events.put)
        settings = SETTINGS if trainer is None else WHILE_TRAINING
        options = StackOptions(
            state, isolated=True, durable=False, settings=settings, stop_patience=QUICK, trainer=trainer
        )
        with receiver, running(options, ports_held) as stack:
            provider, seconds = "trainer" if trainer else "sandbox", time.monotonic() - started
            screen.done(f"Postgres, Valkey, the {provider}, api, worker, sender and beat run ({seconds:.1f} s)")
            _run_story(_story(trainer), stack, screen, receiver, events)
    seconds = time.monotonic() - started
    screen.title(f"Every step was seen to happen, in {seconds:.1f} s. Now ./tunery up, and your own client.")


def _story(trainer: LocalTrainer | None) -> str:
    """The module that has its steps, in a class `Steps`."""
    return "cli.local.story" if trainer is None else "cli.local.training_story"


def _run_story(
    story_module: str, stack: Stack, screen: Screen, receiver: Receiver, events: "queue.Queue[dict[str, Any]]"
) -> None:
    from openai import OpenAI, OpenAIError

    def believe(secret: str) -> None:
        receiver.secret = secret

    client = OpenAI(base_url=stack.base_url, api_key=stack.first["api_key"], timeout=PATIENCE_OF_CLIENT)
    story: Story = import_module(story_module).Steps(client, screen, events, receiver.url, believe)
    for step in story.steps():
        try:
            screen.done(step())
        except (Failure, OpenAIError) as reason:
            raise Failure(_sentence(step.__doc__ or "", reason, stack)) from reason


def _sentence(step: str, reason: Exception, stack: Stack) -> str:
    dead = "".join(f"\n{child.last_words()}" for child in stack.supervisor.dead())
    return f"The demo could not {step}: {reason}.\nThe servers' logs are in {stack.logs}.{dead}"


def _forget_the_callers_client() -> None:
    """Neither another organization's headers nor a proxy shall stand between this client and these servers."""
    for name in [name for name in os.environ if name.startswith(FOR_CLIENTS)]:
        del os.environ[name]
    os.environ.update(without_proxy())
