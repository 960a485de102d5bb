"""`tunery credential`: the projects' own accounts at providers.

Keys come from a file or standard input, never as an argument, which others on the machine could read.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from cli.failure import Failure

if TYPE_CHECKING:  # half a second that the help need not wait for
    from shared.projects.models import Credential

app = typer.Typer(help="A project's own accounts at providers. A key is sealed, and never shown.", no_args_is_help=True)

Schema = TypeVar("Schema", bound=BaseModel)
Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]
Id = Annotated[str, typer.Argument(metavar="CREDENTIAL_ID", show_default=False)]
KeyFile = Annotated[
    Path, typer.Option("--key-file", help="A file that holds the key, or - for standard input.", show_default=False)
]
NewKeyFile = Annotated[Path | None, typer.Option("--key-file", help="The new key's file, or - for standard input.")]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="A file with the secret by which the provider signs its webhooks, or - for standard input."),
]


@app.command()
def create(
    project: Project,
    base_url: Annotated[str, typer.Option(help="Where it is: https://api.openai.com/v1 …", show_default=False)],
    key_file: KeyFile,
    name: Annotated[str, typer.Option(help="What it is for.")] = "own",
    provider: Annotated[str | None, typer.Option(help="What the project's jobs show as their provider.")] = None,
    dialect: Annotated[str, typer.Option(help="openai, or azure for its /openai/v1.")] = "openai",
    webhook_secret_file: SecretFile = None,
) -> None:
    """Give a project an account of its own. Its new jobs go there, and what runs stays where it is.

    Example: `tunery credential create proj_… --base-url ADDRESS --key-file - < key.txt`
    """
    from shared.database import transaction
    from shared.projects import credentials
    from shared.projects.credential_schemas import CredentialCreate

    new = {"name": name, "base_url": base_url, "provider": provider, "dialect": dialect, "api_key": _read(key_file)}
    if webhook_secret_file is not None:
        new["webhook_secret"] = _read(webhook_secret_file)
    with transaction(project) as session:
        made = credentials.create(session, project, _checked(CredentialCreate, new))
    print(
        f"Credential {made.id} ({made.key_hint}) is made; `tunery credential test` asks its provider.", file=sys.stderr
    )
    print(made.id)


@app.command("list")
def list_credentials(project: Project) -> None:
    """Show a project's accounts, the newest first."""
    from cli.columns import print_table
    from shared.database import transaction
    from shared.projects import credentials

    with transaction(project) as session:
        rows = [
            [row.id, _state(row), row.name, row.provider, row.base_url, row.key_hint or "no key"]
            for row in credentials.list_all(session, project, after=None, limit=1000)
        ]
    print_table(("CREDENTIAL", "STATE", "NAME", "PROVIDER", "ADDRESS", "KEY"), rows)


@app.command()
def test(project: Project, credential_id: Id) -> None:
    """Ask the provider for its models, from this machine. Exit status: 0 if it knows the key."""
    from shared.database import transaction
    from shared.db.claims import make_due
    from shared.projects import credentials
    from worker.accounts.refresh import refresh
    from worker.runtime.steps import run

    with transaction(project) as session:
        make_due(session, credentials.get(session, project, credential_id), even_if_backing_off=True)
    run(refresh, credential_id)
    with transaction(project) as session:
        found = credentials.get(session, project, credential_id)
    if found.test_error is not None:
        raise Failure(f"{found.test_error['code']}: {found.test_error['message']}")
    print(f"The provider knows the key. Models that may be tuned: {len(found.base_models)}.")


@app.command()
def update(
    project: Project,
    credential_id: Id,
    name: Annotated[str | None, typer.Option()] = None,
    key_file: NewKeyFile = None,
    webhook_secret_file: SecretFile = None,
) -> None:
    """Change its name, its key or its webhook secret. A new key counts from the next call on, for running jobs too."""
    from shared.database import transaction
    from shared.projects import credentials
    from shared.projects.credential_schemas import CredentialUpdate

    new = {"name": name} if name is not None else {}
    new |= {"api_key": _read(key_file)} if key_file is not None else {}
    new |= {"webhook_secret": _read(webhook_secret_file)} if webhook_secret_file is not None else {}
    with transaction(project) as session:
        changed = credentials.update(session, project, credential_id, _checked(CredentialUpdate, new))
    print(f"Credential {changed.id} ({changed.key_hint}) is changed.", file=sys.stderr)


@app.command()
def delete(project: Project, credential_id: Id) -> None:
    """Delete it with its key, once no active job needs it."""
    from shared.database import transaction
    from shared.jobs import credential_use

    with transaction(project) as session:
        gone = credential_use.delete_credential(session, project, credential_id)
    print(f"Credential {gone.id} is deleted.", file=sys.stderr)


def _checked(model: type[Schema], values: dict[str, Any]) -> Schema:
    """The same rules as over HTTP; what is wrong is told, and what was given is not."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False)
        raise Failure("\n".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in problems)) from None


def _read(file: Path) -> str:
    """Without the line's end that every editor puts there."""
    try:
        return (sys.stdin.read() if str(file) == "-" else file.read_text()).strip()
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from None


def _state(row: "Credential") -> str:
    if row.tested_at is None or row.tested_version != row.key_version:
        return "untested"
    return str(row.test_error["code"]) if row.test_error else "ok"
