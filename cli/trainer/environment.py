"""Sets the trainer's environment up: packages by the hashes of its own lock, then torch. The server's stays."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.columns import say
from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands
from cli.processes.child import Program
from cli.trainer import torch_build
from cli.trainer.torch_build import TorchBuild

LOCK = commands.ROOT / "requirements-trainer.lock"
STAMP = "tunery-lock"  # in the environment, written last: without it the environment is half made
PACKAGES_MB = 600
INSTALLING_TORCH = "installing torch"
TRY = """
import accelerate, peft, torch, transformers, trl
gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
print(f"torch {torch.__version__}, transformers {transformers.__version__}, trl {trl.__version__}, "
      f"peft {peft.__version__}; {', '.join(gpus) or 'no GPU: it trains on the CPU'}")
"""


def set_up(state: Path, backend: str | None) -> None:
    """Makes `trainer/env` below the state folder, unless it is there as the lock says. Raises `Failure`."""
    folder = state.absolute() / "trainer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with bootstrap.only_one(folder):
        if is_set_up(folder, backend):
            say(f"The trainer's environment is ready: {folder / 'env'}")
            return
        _check_unused(folder)
        uv = bootstrap.find_uv(state)
        build = torch_build.choose(backend, uv)
        _check_room(folder, build)
        megabytes = PACKAGES_MB + build.megabytes
        say(f"Setting the trainer's environment up in {folder / 'env'}, with {build.sentence}: about {megabytes:,} MB.")
        Installation(folder, uv, build).run()
        (folder / "env" / STAMP).write_text(f"{fingerprint()} {backend or ''}".strip())


def is_set_up(folder: Path, backend: str | None = None) -> bool:
    """Whether the environment is whole and of this lock and, if a `backend` is named, has torch for that one."""
    stamp = folder / "env" / STAMP
    if not stamp.exists() or not os.access(folder / "env" / "bin" / "python", os.X_OK):
        return False
    lock, _, stamped = stamp.read_text().partition(" ")
    return lock == fingerprint() and backend in (None, stamped)


def fingerprint() -> str:
    return hashlib.sha256(LOCK.read_bytes() + torch_build.TORCH.encode()).hexdigest()


def _check_unused(folder: Path) -> None:
    """A trainer that runs starts processes in the environment that is to be made anew."""
    with suppress(FileNotFoundError), (folder / "trainer.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(
                f"A trainer runs in {folder}, in the environment that is to be made anew: stop it first."
            ) from None


def _check_room(folder: Path, build: TorchBuild) -> None:
    needed, free = (PACKAGES_MB + build.megabytes) * 6 // 5, shutil.disk_usage(folder).free >> 20
    present = folder / "env"
    if free < needed and not present.exists():
        raise Failure(
            f"The trainer's environment needs about {needed:,} MB while it is made, and {folder} has {free:,} MB left. "
            "Make room, or name another folder in TUNERY_STATE."
        )


class Installation:
    """One run through the steps. What a run that was killed has left is removed first: its wheels are still cached."""

    name, lock, imports = "env", LOCK, TRY

    def __init__(self, folder: Path, uv: str | None, build: TorchBuild) -> None:
        self.env = folder / self.name
        self.python = self.env / "bin" / "python"
        self.uv = uv
        self.build = build
        self.log = folder / "logs" / "setup.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")

    def run(self) -> None:
        steps = {"making the environment": self._make_environment(), "installing packages": self._install_packages()}
        if torch := self.build.install(self.python, self.uv):
            steps[INSTALLING_TORCH] = torch
        steps["importing everything once"] = [str(self.python), "-c", self.imports]
        shutil.rmtree(self.env, ignore_errors=True)
        with _progress() as progress:
            task = progress.add_task("", total=len(steps))
            for name, command in steps.items():
                progress.update(task, description=name)
                self._do_or_else(name, command)
                progress.advance(task)
        say(self.log.read_text().splitlines()[-1])

    def _do_or_else(self, name: str, command: list[str]) -> None:
        try:
            self._do(name, command)
        except Failure:
            if name != INSTALLING_TORCH or not self.build.or_pip:
                raise
            say("uv found no build of torch, which it looks for at PyTorch's own index: pip takes that of yours.")
            self._do(name, torch_build.by_pip(self.python))

    def _make_environment(self) -> list[str]:
        options = ["--system-site-packages"] if self.build.of_the_machine else []
        if self.uv:
            return [self.uv, "venv", "--python", torch_build.MACHINES_PYTHON, *options, str(self.env)]
        return [torch_build.MACHINES_PYTHON, "-m", "venv", *options, str(self.env)]

    def _install_packages(self) -> list[str]:
        """Without what they depend on: the lock has all of it but torch."""
        options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(self.lock)]
        if self.uv:
            return [self.uv, "pip", "install", "--compile-bytecode", "--python", str(self.python), *options]
        return [str(self.python), "-m", "pip", "install", *options]

    def _do(self, name: str, command: list[str]) -> None:
        """The process dies with us, so that a second run never works beside what a killed one has left behind."""
        variables = bootstrap.FOR_INSTALLERS | bootstrap.TRUST_OF_THE_SYSTEM
        environ = commands.environment(**variables)
        environ.pop("PYTHONPATH")
        # Elsewhere than here: uv would read our pyproject.toml, and leave torch out as it says.
        elsewhere = Path(tempfile.gettempdir())
        child = Program(name, command, self.log, environ, elsewhere).start()
        try:
            code = child.process.wait()
        except BaseException:
            child.kill()
            raise
        if code != 0:
            raise Failure(self._why(name))

    def _why(self, name: str) -> str:
        if bootstrap.has_any(self.log, bootstrap.FULL_DISK):
            free = shutil.disk_usage(self.env.parent).free >> 20
            reason = f"the disk is full ({free:,} MB left). Make room and start again"
        else:
            reason = bootstrap.explain_log(self.log).removeprefix("Tunery could not install its packages: ")
        return f"The trainer's environment could not be set up ({name}): {reason}"


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (BarColumn(bar_width=20), TextColumn("{task.completed}/{task.total}  {task.description}"))
    with Progress(*columns, TimeElapsedColumn(), transient=True) as progress:
        yield progress
