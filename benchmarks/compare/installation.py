"""What an installation takes while nothing happens, and how soon it is there."""

import http.client
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.compare.verdict import Row
from benchmarks.requests import fresh_api
from benchmarks.stack import Measured, cpu_seconds, measured_stack
from cli.embedded import postgres_home
from cli.local import commands

SERVERS = ("api", "worker", "sender", "beat")
SETTLING = 15.0  # seconds after the start, in which the first account is looked at
WINDOW = 30.0
TRIES = 3


def rows() -> Iterator[Row]:
    yield from _idle()
    yield "demo, started again, best of 3", "≤ 6 s", f"{_demo():.1f} s"


def _idle() -> Iterator[Row]:
    with measured_stack() as stack:
        time.sleep(SETTLING)
        processes = _family(stack)
        before, started = sum(map(cpu_seconds, processes)), time.monotonic()
        time.sleep(WINDOW)
        share = (sum(map(cpu_seconds, processes)) - before) / (time.monotonic() - started)
        taken = [process.memory_full_info() for process in processes]
        yield "api: idle RSS", "≤ 130 MB", f"{stack.processes['api'].memory_info().rss / 1e6:.0f} MB"
        whole = f"api, worker, sender and beat: {len(processes)} processes"
        yield f"{whole}, idle PSS", "≤ 450 MB", f"{sum(each.pss for each in taken) / 1e6:.0f} MB"
        yield "… idle RSS", "-", f"{sum(each.rss for each in taken) / 1e6:.0f} MB"
        yield "… idle CPU of a core", "≤ 1.5 %", f"{100 * share:.2f} %"
        first = min(_first_request(stack) for _ in range(TRIES))
        yield "api: first request after its start", "≤ 1.5 s", f"{first:.2f} s"


def _family(stack: Measured) -> list[psutil.Process]:
    mothers = [stack.processes[name] for name in SERVERS]
    return [each for mother in mothers for each in (mother, *mother.children(recursive=True))]


def _first_request(stack: Measured) -> float:
    """Seconds for the first list of jobs of an api that has just begun to listen."""
    with fresh_api(stack) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc)
        started = time.monotonic()
        connection.request("GET", "/v1/fine_tuning/jobs", headers={"authorization": f"Bearer {stack.api_key}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the first request was answered with {answer.status}")
        return time.monotonic() - started


def _demo() -> float:
    """The best of three, after one that has made the database."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        environ = os.environ | {"TUNERY_STATE": folder}
        seconds = [_seconds_of_demo(environ) for _ in range(1 + TRIES)]
        postgres_home.remove(Path(folder) / "demo")
        return min(seconds[1:])


def _seconds_of_demo(environ: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(
        [commands.PYTHON, "-m", "cli", "demo"], cwd=commands.ROOT, env=environ, stdout=subprocess.DEVNULL, check=True
    )
    return time.monotonic() - started


def load() -> str:
    return ", ".join(f"{each:.1f}" for each in os.getloadavg())
