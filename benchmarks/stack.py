"""Starts the servers to be measured as `tunery up` does, and removes them and their data afterwards."""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from openai import OpenAI

from cli.embedded import postgres_home
from cli.local.environment import StackOptions
from cli.local.stack import running
from cli.processes.ports import PortReservations
from cli.processes.supervisor import Supervisor
from shared.database import get_engine
from shared.settings import get_settings

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Measured:
    """`processes` are the servers by name: api, worker, sender, beat, sandbox, postgres, valkey."""

    base_url: str
    api_key: str
    admin_key: str
    project_id: str
    sandbox_url: str
    sandbox_key: str
    processes: Mapping[str, psutil.Process]
    environ: Mapping[str, str]
    supervisor: Supervisor

    @property
    def openai(self) -> OpenAI:
        return OpenAI(base_url=self.base_url, api_key=self.api_key, max_retries=0)


@contextmanager
def measured_stack(**settings: str) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        state.chmod(0o755)
        unlimited = {"TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE": "none"}  # one project sends the whole load
        options = StackOptions(state, isolated=True, settings=unlimited | settings)
        with PortReservations(state / "ports.json") as ports_held, running(options, ports_held) as stack:
            yield Measured(
                stack.base_url,
                stack.first["api_key"],
                stack.first["admin_key"],
                stack.first["project_id"],
                stack.environ["TUNERY_PROVIDER__BASE_URL"],
                stack.environ["TUNERY_PROVIDER__API_KEY"],
                {name: psutil.Process(child.process.pid) for name, (_, child) in stack.supervisor.members.items()},
                stack.environ,
                stack.supervisor,
            )
        postgres_home.remove(state)
        get_settings.cache_clear()  # the next servers of this process have other addresses
        get_engine.cache_clear()


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def lines(count: int = 20) -> bytes:
    line = b'{"messages": [{"role": "user", "content": "Question %d"}, {"role": "assistant", "content": "Answer"}]}\n'
    return b"".join(line % number for number in range(count))


def uploaded(openai: OpenAI) -> str:
    """A dataset that has passed its check."""
    file = openai.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    wait_until(lambda: openai.files.retrieve(file.id).status != "uploaded", "a file of 20 lines is checked")
    return file.id


def wait_until(is_so: Callable[[], bool], what: str, patience: float = 300, every: float = 0.05) -> None:
    """Raises an error that names what is waited for: on a machine that is too busy a benchmark ends too."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {patience:g} s in vain until {what}")
        time.sleep(every)


def noted(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows; each is told on stderr as soon as it is measured, minutes before the table."""
    for what, target, measured in rows:
        print(f"{what}: {measured}", file=sys.stderr, flush=True)
        yield what, target, measured


def print_table(rows: list[Row], columns: Row = ("what", "target", "measured")) -> None:
    """Prints the rows, and below them the number of cores, the load, the Python version and the architecture."""
    widths = [max(len(row[column]) for row in [columns, *rows]) for column in range(3)]
    for row in [columns, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{os.cpu_count()} cores, load {load}, Python {platform.python_version()}, {platform.machine()}")
