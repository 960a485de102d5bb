"""Which build of torch the trainer gets: the machine's own, one that pip finds at hand, or one that uv picks."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands

TORCH = "2.13.0"
OLDEST = (2, 6)  # of a torch that the machine has already
CPU_MB, CUDA_MB = 900, 5000  # unpacked, with the libraries of CUDA
MACHINES_PYTHON = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
PIP, AUTO = "pip", "auto"
NO_INDEX = ["--dry-run", "--no-index", "--no-deps", "--ignore-installed"]


@dataclass(frozen=True)
class TorchBuild:
    """How torch comes into the environment. `backend` is uv's word; None: by pip, or it is there already.

    `or_pip`: where uv's own index of builds cannot be reached, pip may take the build that its index has.
    """

    sentence: str
    megabytes: int = 0
    of_the_machine: bool = False
    backend: str | None = None
    or_pip: bool = False

    def install(self, python: Path, uv: str | None) -> list[str] | None:
        """The command that installs it; None if there is nothing to install."""
        if self.of_the_machine:
            return None
        if uv and self.backend:
            options = [f"--torch-backend={self.backend}", "--compile-bytecode", "--python", str(python)]
            return [uv, "pip", "install", *options, f"torch=={TORCH}"]
        return by_pip(python)


def by_pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "install", f"torch=={TORCH}"]


def choose(wanted: str | None, uv: str | None) -> TorchBuild:
    """`wanted` is `pip`, a backend of uv (`cpu`, `cu130`, `auto`, …), or None: whatever is nearest at hand."""
    if wanted is None and (version := _version_of_the_machine()):
        return TorchBuild(f"torch {version} of {MACHINES_PYTHON}, which is there already", of_the_machine=True)
    if wanted is None and (found := _found_beside_the_index()):
        return TorchBuild("torch from where pip's find-links points", CPU_MB if "+cpu" in found else CUDA_MB)
    if wanted == PIP or (wanted is None and uv is None):
        return TorchBuild("torch from pip's package index", CUDA_MB if sys.platform == "linux" else CPU_MB)
    if uv is None:
        raise Failure("--torch-backend needs uv, which is not on this machine. Install uv, or leave the option out.")
    backend = wanted or AUTO
    has_gpu = backend not in (AUTO, "cpu") or (backend == AUTO and shutil.which("nvidia-smi") is not None)
    megabytes = CUDA_MB if has_gpu else CPU_MB
    return TorchBuild(f"torch for `{backend}`, picked by uv", megabytes, backend=backend, or_pip=wanted is None)


def _version_of_the_machine() -> str | None:
    """Asked without importing torch, which would take seconds."""
    found = _said(MACHINES_PYTHON, "-I", "-c", "from importlib.metadata import version; print(version('torch'))")
    numbers = found.strip().split(".")[:2]
    is_new_enough = all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) >= OLDEST
    return found.strip() if found and is_new_enough else None


def _found_beside_the_index() -> str:
    """The version that pip would install without asking an index; empty if it knows no file of it."""
    said = _said(MACHINES_PYTHON, "-m", "pip", "install", *NO_INDEX, f"torch=={TORCH}")
    return next((line for line in said.splitlines() if "Would install" in line), "")


def _said(*command: str) -> str:
    """What the command printed; empty if it failed."""
    environ = commands.environment(**bootstrap.FOR_INSTALLERS)
    environ.pop("PYTHONPATH")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
