"""`python -m trainer`: the trainer's commands."""

import sys

import typer

from trainer.bases import Refused
from trainer.bases import commands as bases
from trainer.environment import NotSetUp

app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(bases.app, name="base")


@app.callback()
def trainer() -> None:
    """A provider of your own, which trains open weights on this machine."""


def main() -> None:
    try:
        app(prog_name="trainer")
    except (NotSetUp, Refused) as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
