"""`tunery credential`: the projects' own accounts at providers, through the API.

Keys come from a file or standard input, never as an argument, which others on the machine could read.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.api_client import Found, admin_client, list_all, of_project, post
from cli.columns import print_table, say
from cli.failure import Failure

app = typer.Typer(help="A project's own accounts at providers. A key is sealed, and never shown.", no_args_is_help=True)

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

Options = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=VALUE, repeatable: of Azure's application, whose secret the key then is (docs/credentials.md)."
    ),
]


@app.command()
def create(
    project: Project,
    key_file: KeyFile,
    base_url: Annotated[
        str | None, typer.Option(help="Its address, where not all accounts of its dialect have one.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "own",
    provider: Annotated[str | None, typer.Option(help="What the project's jobs show as their provider.")] = None,
    dialect: Annotated[
        str, typer.Option(help="openai, azure (/openai/v1), trainer, nebius, mantle, fireworks or together.")
    ] = "openai",
    option: Options = None,
    webhook_secret_file: SecretFile = None,
    deploy_on_success: Annotated[
        bool, typer.Option("--deploy-on-success", help="Deploy each model that is made there, which may cost money.")
    ] = False,
) -> None:
    """Give a project an account of its own. Its new jobs go there; jobs that have begun stay where they are.

    Example: `./tunery credential create proj_… --base-url ADDRESS --key-file - < key.txt`
    """
    new: dict[str, Any] = {"name": name, "provider": provider, "dialect": dialect, "api_key": _read(key_file)}
    new |= {"base_url": base_url} if base_url is not None else {}
    new |= {"options": _options(option), "deploy_on_success": deploy_on_success}
    if webhook_secret_file is not None:
        new["webhook_secret"] = _read(webhook_secret_file)
    with admin_client() as client:
        made = post(client, _path(project), new)
    hint = made["redacted_value"]
    say(f"Credential {made['id']} ({hint}) is created; `./tunery credential test` tries its key.")
    print(made["id"])


@app.command("list")
def list_credentials(project: Project) -> None:
    """Show a project's accounts, the newest first."""
    with admin_client() as client:
        rows = [
            [each["id"], _state(each), each["name"], each["provider"], each["base_url"], _key(each)]
            for each in list_all(client, _path(project))
        ]
    print_table(("CREDENTIAL", "STATE", "NAME", "PROVIDER", "ADDRESS", "KEY"), rows)


@app.command()
def test(project: Project, credential_id: Id) -> None:
    """Have a worker ask the provider for its models. Exit status: 0 if the provider accepts the key."""
    with admin_client() as client:
        result = post(client, _path(project, credential_id, "test"))
    if not result["ok"]:
        raise Failure(f"{result['error']['code']}: {result['error']['message']}")
    print(f"The provider knows the key. Models that may be tuned: {len(result['base_models'])}.")


@app.command()
def update(
    project: Project,
    credential_id: Id,
    name: Annotated[str | None, typer.Option()] = None,
    key_file: NewKeyFile = None,
    option: Options = None,
    webhook_secret_file: SecretFile = None,
    deploy_on_success: Annotated[bool | None, typer.Option(help="Whether models made there are deployed.")] = None,
) -> None:
    """Change its name, key, options or webhook secret. A new key counts from the next call on, for running jobs too."""
    new: dict[str, Any] = {"name": name} if name is not None else {}
    new |= {"options": _options(option)} if option else {}
    new |= {"deploy_on_success": deploy_on_success} if deploy_on_success is not None else {}
    new |= {"api_key": _read(key_file)} if key_file is not None else {}
    new |= {"webhook_secret": _read(webhook_secret_file)} if webhook_secret_file is not None else {}
    with admin_client() as client:
        changed = post(client, _path(project, credential_id), new)
    say(f"Credential {changed['id']} ({changed['redacted_value']}) is changed.")


@app.command()
def delete(project: Project, credential_id: Id) -> None:
    """Delete it with its key, once no active job needs it."""
    with admin_client() as client:
        client.delete(_path(project, credential_id), cast_to=object)
    say(f"Credential {credential_id} is deleted.")


def _path(project: str, *more: str) -> str:
    return of_project(project, "credentials", *more)


def _options(given: list[str] | None) -> dict[str, str]:
    pairs = [each.partition("=") for each in given or ()]
    return {name: value for name, _, value in pairs}


def _read(file: Path) -> str:
    """Without the line feed that every editor puts at the end."""
    try:
        return (sys.stdin.read() if str(file) == "-" else file.read_text()).strip()
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from None


def _key(credential: Found) -> str:
    return credential["redacted_value"] or "no key"


def _state(credential: Found) -> str:
    if credential["last_tested_at"] is None:
        return "untested"
    return str(credential["last_error"]["code"]) if credential["last_error"] else "ok"
