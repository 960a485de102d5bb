"""Sets Ray up in an environment of its own, from its own lock: a cluster on this machine, to try jobs on one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cli.columns import say
from cli.dev import bootstrap
from cli.local import commands
from cli.trainer.environment import STAMP, Installation
from cli.trainer.torch_build import TorchBuild

MEGABYTES = 380


@dataclass(frozen=True)
class _NoTorch(TorchBuild):
    def install(self, python: Path, uv: str | None) -> None:
        """Ray's side of a job starts the trainer's own Python, which has torch."""


class _RayInstallation(Installation):
    name, lock = "ray", commands.ROOT / "requirements-ray.lock"
    imports = "import ray; print(f'ray {ray.__version__}')"


def set_up(state: Path) -> None:
    """Makes `trainer/ray` below the state folder, unless it is there as the lock says. Raises `Failure`."""
    folder = state.absolute() / "trainer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with bootstrap.only_one(folder):
        stamp = folder / "ray" / STAMP
        fingerprint = hashlib.sha256(_RayInstallation.lock.read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == fingerprint:
            say(f"Ray's environment is ready: {stamp.parent}")
            return
        say(f"Setting Ray's environment up in {stamp.parent}: about {MEGABYTES} MB.")
        _RayInstallation(folder, bootstrap.find_uv(state), _NoTorch("no torch")).run()
        stamp.write_text(fingerprint)
