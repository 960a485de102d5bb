"""A real Ray on this machine: a head with two slots, in a process group of its own, on free ports."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import pytest

from cli.trainer.environment import STAMP
from tests.servers import free_port
from tests.trainer import environment

PATIENCE = 300.0
SLOTS = 2
MARK = "TUNERY_TEST_RAY"


def program() -> str:
    folder = Path(os.environ.get("TUNERY_RAY_ENV") or environment.STATE / "ray")
    if not (folder / STAMP).exists():  # half made, or not at all
        pytest.skip("Ray's environment is not set up: `./tunery trainer setup --ray`, or name it in TUNERY_RAY_ENV")
    return str(folder / "bin" / "ray")


class RayHead:
    """One at a time on a machine: two of them take each other's agents, and then start no jobs.

    `kill` is a power cut of its machine; `start` afterwards starts a head that knows nothing of before.
    """

    def __init__(self) -> None:
        self.program = program()
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of sockets must be short
        self.port, self.dashboard = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.dashboard}"

    def settings(self) -> dict[str, Any]:
        return {"ray_address": self.address, "ray_slots": SLOTS, "ray_cpus": 0, "ray_resources": "slot=1"}

    def start(self) -> None:
        options = [
            "start",
            "--head",
            "--block",
            f"--port={self.port}",
            f"--dashboard-port={self.dashboard}",
            "--dashboard-host=127.0.0.1",
            "--node-ip-address=127.0.0.1",
            f"--ray-client-server-port={free_port()}",
            f"--dashboard-agent-listen-port={free_port()}",
            f"--dashboard-agent-grpc-port={free_port()}",
            f"--metrics-export-port={free_port()}",
            "--min-worker-port=0",
            "--max-worker-port=0",
            "--num-cpus=2",
            f"--resources={json.dumps({'slot': SLOTS})}",
            "--object-store-memory=80000000",
            f"--temp-dir={self.folder}",
            "--disable-usage-stats",
            "--include-log-monitor=false",
        ]
        environ, deadline = os.environ | {MARK: str(self.folder)}, time.monotonic() + PATIENCE
        while not self._comes_up([self.program, *options], environ, deadline):
            self.kill()  # it gives up after 30 seconds, which a machine that does much else exceeds
            assert time.monotonic() < deadline, (self.folder / "start.log").read_text()[-3000:]

    def _comes_up(self, command: list[str], environ: dict[str, str], deadline: float) -> bool:
        with (self.folder / "start.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environ)
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.2)
        return False

    def _answers(self) -> bool:
        """The dashboard answers before the machine is a part of the cluster."""
        if "Ray runtime started" not in (self.folder / "start.log").read_text():
            return False
        try:
            return httpx2.get(f"{self.address}/api/jobs/", timeout=30).is_success
        except httpx2.HTTPError:
            return False

    def kill(self) -> None:
        """kill -9 of everything that belongs to it, what its jobs have started included.

        All are stopped first, as a power cut stops them at once: none may tell what became of another.
        """
        for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGKILL):  # one may have been starting another
            for process in _descendants(self.process.pid, str(self.folder)):
                with suppress(ProcessLookupError):
                    os.kill(process, number)
        self.process.wait()

    def jobs(self) -> dict[str, str]:
        """The status of each job it knows."""
        listed = httpx2.get(f"{self.address}/api/jobs/", timeout=60).raise_for_status().json()
        return {job["submission_id"]: job["status"] for job in listed}

    def __enter__(self) -> "RayHead":
        self._lock = Path(tempfile.gettempdir(), "tunery-tests-of-ray.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _descendants(root: int, folder: str) -> list[int]:
    """Itself, its children and theirs, and what has lost its parent but has the folder in its environment."""
    parents, marked = {}, set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if f"{MARK}={folder}".encode() in (entry / "environ").read_bytes():
                marked.add(int(entry.name))
        except OSError:
            continue
    found = {root} | marked
    while more := {number for number, parent in parents.items() if parent in found} - found:
        found |= more
    return list(found)
