"""How the process that answers with a base is started in the trainer's environment, and how long it is waited for."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer import environment
from trainer.server.serving import devices


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What the processes of all kinds have in common."""

    logs: Path
    seconds_to_load: float = 120.0
    """How long a request waits for its base. Then it is refused with 429, and the base goes on loading."""
    most_seconds_to_load: float = 1800.0
    """A process that is not ready after so long is killed."""
    most_waiting: int = 32
    """Requests that wait for one base to load. Further ones are refused with 429 at once."""
    first_pause: float = 1.0
    """Seconds between a failure and the next start; after each further one twice as many, up to a minute."""

    def log_of(self, base: str) -> Path:
        """Of two bases in folders of the same name, both write here; it is kept until the next start."""
        return self.logs / f"{Path(base).name}.log"

    async def spawn(self, base: str, python: Path, arguments: Sequence[str], env: Mapping[str, str]) -> Process:
        """Its standard input stays open as long as the server lives; when that ends, the process leaves."""
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log_of(base).open("wb") as errors:
            return await asyncio.create_subprocess_exec(
                python,
                *arguments,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                cwd=environment.ROOT,
                env=env,
                start_new_session=True,
            )


@dataclass(frozen=True, kw_only=True)
class Command(Waiting):
    python: Path
    sockets: Path
    threads: int
    devices: Sequence[str] = ("cpu",)
    """A base is loaded on the one of these with the most free memory."""
    idle_seconds: float = 600.0
    max_adapters: int = 8
    max_batch: int = 8

    async def start(self, base: str, socket: Path) -> Process:
        options = {
            "base": base,
            "socket": socket,
            "device": await asyncio.to_thread(devices.with_most_free_memory, self.devices),
            "threads": self.threads,
            "idle-seconds": self.idle_seconds,
            "max-adapters": self.max_adapters,
            "max-batch": self.max_batch,
        }
        arguments = ["-m", "trainer.serving", *(f"--{name}={value}" for name, value in options.items())]
        return await self.spawn(base, self.python, arguments, environment.variables())
