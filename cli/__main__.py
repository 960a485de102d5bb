"""The `tunery` command: what can be asked of it. A command imports the module that does its work when it is called."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import running_up
from cli.admin import (
    admin_keys,
    audit,
    budgets,
    costs,
    credentials,
    keys,
    projects,
    rate_limits,
    reconcile,
    secrets_rotation,
)
from cli.backup import commands as backups
from cli.client import chat, files, models
from cli.client import datasets as client_datasets
from cli.client.jobs import commands as jobs
from cli.columns import say
from cli.datasets import commands as datasets
from cli.doctor import command as doctor
from cli.failure import Failure
from cli.local import commands
from cli.trainer import commands as trainer_commands
from cli.webhooks import commands as webhooks
from shared.version import VERSION

STATE = Path(os.environ.get("TUNERY_STATE") or commands.ROOT / ".state")
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(
    help="A fine-tuning platform that you run for yourself, on OpenAI's wire.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Begin with `./tunery demo`. The servers' settings are environment variables; `.env.example` lists them.",
)
app.add_typer(files.app, name="files", rich_help_panel="Use")
app.add_typer(jobs.app, name="jobs", rich_help_panel="Use")
app.add_typer(models.app, name="models", rich_help_panel="Use")
app.command(rich_help_panel="Use")(chat.chat)
app.add_typer(projects.app, name="project", rich_help_panel="Operate")
app.add_typer(keys.app, name="key", rich_help_panel="Operate")
app.add_typer(admin_keys.app, name="admin-key", rich_help_panel="Operate")
app.add_typer(budgets.app, name="limit", rich_help_panel="Operate")
app.add_typer(credentials.app, name="credential", rich_help_panel="Operate")
app.add_typer(secrets_rotation.app, name="secrets", rich_help_panel="Operate")
app.add_typer(rate_limits.app, name="rate-limit", rich_help_panel="Operate")
app.add_typer(audit.app, name="audit", rich_help_panel="Operate")
for command in (costs.cost, reconcile.reconcile, backups.backup, backups.restore, doctor.doctor):
    app.command(rich_help_panel="Operate")(command)
datasets.app.command()(client_datasets.errors)
datasets.app.command()(client_datasets.estimate)
app.add_typer(datasets.app, name="datasets", rich_help_panel="Use")
app.add_typer(webhooks.app, name="webhooks", rich_help_panel="Try")
app.add_typer(trainer_commands.app, name="trainer", rich_help_panel="Operate")

TRY, OPERATE, DEVELOP = "Try", "Operate", "Develop"
SERVERS = {"api", "worker", "sender", "beat"}
IN_THE_DATABASE = {"migrate", "admin-key", "reconcile", "secrets", "audit", "backup", "restore"}


def _print_version(wanted: bool) -> None:
    if wanted:
        print(VERSION)
        raise typer.Exit


@app.callback()
def tunery(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand in SERVERS | IN_THE_DATABASE | {"doctor"}:
        context.obj = filled = running_up.fill(os.environ)
        if filled.names and context.invoked_subcommand in IN_THE_DATABASE:
            say(f"With the settings of {filled.source}.")


@app.command(rich_help_panel=TRY)
def demo(
    train: Annotated[bool, typer.Option("--train", help="Train a small model for real, in minutes.")] = False,
) -> None:
    """Start everything, run a whole fine-tuning job against the sandbox, and show each step. Costs seconds, no cent."""
    from cli.local.demo import run
    from cli.trainer.preparing import for_demo

    state = STATE / ("demo-train" if train else "demo")
    run(state, for_demo(STATE, state) if train else None)


@app.command(rich_help_panel=TRY)
def up(
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="The api's port; 0 is any free one.")] = 0,
    webhook_url: Annotated[
        str | None,
        typer.Option(envvar="TUNERY_WEBHOOK_URL", help="Send the first project's events here, not to this terminal."),
    ] = None,
    with_trainer: Annotated[bool, typer.Option("--trainer", help="Run the trainer too, as one more account.")] = False,
) -> None:
    """Start everything and stay: prints the variables with which any OpenAI client talks to it. Ctrl-C stops it all.

    DATABASE_URL and REDIS_URL name servers to use instead of the embedded ones, and TUNERY_PROVIDER\\_\\_BASE_URL with
    TUNERY_PROVIDER\\_\\_API_KEY the provider to use instead of the sandbox.
    """
    from cli.local.up import run

    trainer = None
    if with_trainer:
        from cli.trainer.preparing import for_up

        trainer = for_up(STATE)
    run(STATE, port=port, webhook_url=webhook_url, trainer=trainer)


@app.command(rich_help_panel=OPERATE)
def api(
    host: Annotated[str, typer.Option(envvar="HOST", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="0 is any free one.")] = 8000,
    processes: Annotated[int, typer.Option(envvar="WEB_CONCURRENCY", min=1, help="How many processes answer.")] = 1,
) -> None:
    """Serve the api."""
    from cli.processes.ports import check_free

    _check_settings()
    check_free(host, port)
    commands.become(commands.api(host, port), WEB_CONCURRENCY=str(processes))


@app.command(rich_help_panel=OPERATE)
def worker(
    concurrency: Annotated[
        int, typer.Option(envvar="WORKER_CONCURRENCY", min=1, help="How many steps it takes at once.")
    ] = commands.STEPS_AT_ONCE,
) -> None:
    """Run a worker: it checks datasets and speaks to the provider. As many as you like may run."""
    _check_settings()
    commands.become(commands.worker(concurrency))


@app.command(rich_help_panel=OPERATE)
def sender(
    concurrency: Annotated[
        int, typer.Option(envvar="SENDER_CONCURRENCY", min=1, help="How many webhooks are on their way at once.")
    ] = commands.DELIVERIES_AT_ONCE,
) -> None:
    """Run a sender: it delivers webhooks. One is needed; as many as you like may run."""
    _check_settings()
    commands.become(commands.sender(concurrency))


@app.command(rich_help_panel=OPERATE)
def beat() -> None:
    """Run the scheduler: it wakes a worker for each row that is due. One is needed; two do no harm."""
    _check_settings()
    commands.become(commands.beat())


@app.command(rich_help_panel=OPERATE)
def migrate(
    wait: Annotated[float, typer.Option(help="Seconds to wait for the database to answer.")] = 30,
) -> None:
    """Bring the database to the newest schema. Several at once wait for each other."""
    from cli.admin.deployment import migrate_when_reachable

    print(migrate_when_reachable(wait))


@app.command(rich_help_panel=DEVELOP, context_settings=PASSED_ON)
def test(context: typer.Context) -> None:
    """Run the whole suite, on two cores. Other arguments go to pytest, as in `./tunery test tests/cli -x`.

    `--postgres 16` runs it on that Postgres instead of the newest; `--coverage` measures which lines the tests run.
    """
    from cli.dev.test import run_tests

    sys.exit(run_tests(STATE.absolute(), context.args))


@app.command(rich_help_panel=DEVELOP)
def lint() -> None:
    """Check style, types, who imports whom, locks, migrations, version, changelog, advisories."""
    from cli.dev.lint import run

    sys.exit(run(STATE))


@app.command(rich_help_panel=DEVELOP)
def migration(message: Annotated[str, typer.Argument(help="What it changes; its file is named after it.")]) -> None:
    """Write a migration: what the models have and the migrations lack. Needs no database of yours."""
    from cli.dev.migrations import write

    print(write(message), end="")


@app.command(rich_help_panel=DEVELOP)
def lock() -> None:
    """Write the requirements locks anew, after a change of pyproject.toml."""
    from cli.dev.locks import write

    write(STATE)


def _check_settings() -> None:
    """A missing variable is told as a sentence here, before a server would show it as a traceback."""
    from shared.settings import get_settings

    get_settings()


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a tick shows a question mark
    try:
        app(prog_name="tunery")
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from cli.explain import sentence_for

        sys.exit(sentence_for(error))
    finally:
        _flush()


def _flush() -> None:
    """Who reads our output may have gone, as `head` does. Some releases of Python would complain of it at the end."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
