"""The `trainer` commands: setting its environment up is ours, the others are handed over to the trainer's own."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.local import commands

HANDED_OVER = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(help="The trainer: a provider of your own, which trains open weights on your machines.")


@app.callback(invoke_without_command=True)
def trainer(context: typer.Context) -> None:
    """The trainer: a provider of your own, which trains open weights on your machines. Alone, it runs it."""
    os.environ.setdefault("TRAINER_FOLDER", str(state() / "trainer"))
    if context.invoked_subcommand is None:
        commands.become(commands.trainer())


@app.command()
def setup(
    torch_backend: Annotated[
        str | None,
        typer.Option(help="cpu, cu130, … or auto: uv picks that build of torch. pip: pip's own choice."),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Make Ray's environment instead, to try a cluster here.")] = False,
) -> None:
    """Make the trainer's environment (PyTorch, transformers, TRL), apart from the server's. Asks nothing.

    A torch that this machine's Python has is taken. Else pip installs it if its find-links have it, or if there is no
    uv; else uv picks the build for this machine's GPU or CPU. A second run is quick, and mends one that was broken off.
    """
    if ray:
        from cli.trainer import ray_environment

        ray_environment.set_up(state())
        return
    from cli.trainer.environment import set_up

    set_up(state(), torch_backend)


@app.command(context_settings=HANDED_OVER)
def base(context: typer.Context) -> None:
    """Add, list and remove the models that it trains: `base add PATH|PACKAGE`, `base list`, `base remove NAME`."""
    commands.become(commands.trainer("base", *context.args))


@app.command(context_settings=HANDED_OVER)
def run(context: typer.Context) -> None:
    """Run it, until Ctrl-C. `run --help` shows its options."""
    commands.become(commands.trainer(*context.args))


def state() -> Path:
    return Path(os.environ.get("TUNERY_STATE") or commands.ROOT / ".state").absolute()
