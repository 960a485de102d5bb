"""`tunery files`: uploads, lists, shows, downloads and deletes files of any server that speaks OpenAI's API."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.client.arguments import AsJson, FileId, Target, Yes
from cli.client.pages import LIMIT, After, All, Limit

app = typer.Typer(help="The files of a project, on any server that speaks OpenAI's API.", no_args_is_help=True)


class Purpose(StrEnum):
    FINE_TUNE = "fine-tune"
    ASSISTANTS = "assistants"
    BATCH = "batch"
    EVALS = "evals"
    USER_DATA = "user_data"
    VISION = "vision"


@app.command()
def upload(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="A file of this machine.")],
    purpose: Annotated[Purpose, typer.Option(help="What it is for.")] = Purpose.FINE_TUNE,
    wait: Annotated[bool, typer.Option("--wait", help="Until the server has checked it; 1 if it has errors.")] = False,
    json: AsJson = False,
) -> None:
    """Upload a file, and print its id.

    Examples:

    `./tunery files upload train.jsonl --wait`

    `FILE=$(./tunery files upload train.jsonl)`
    """
    from cli.client.file_requests import upload

    upload(file, purpose, wait=wait, as_json=json)


@app.command("list")
def list_files(
    purpose: Annotated[str | None, typer.Option(help="Only those for this, such as fine-tune.")] = None,
    limit: Limit = LIMIT,
    after: After = None,
    all: All = False,
    json: AsJson = False,
) -> None:
    """Show the files, the newest first.

    Examples:

    `./tunery files list --purpose fine-tune`

    `./tunery files list --all --json | jq -r '.data[].id'`
    """
    from cli.client.file_requests import list_files

    list_files(purpose, limit, after, all=all, as_json=json)


@app.command()
def show(file_id: FileId, json: AsJson = False) -> None:
    """Show a file, and how its check went.

    Example: `./tunery files show file-…`
    """
    from cli.client.file_requests import show

    show(file_id, as_json=json)


@app.command()
def download(file_id: FileId, target: Target = None, json: AsJson = False) -> None:
    """Download what is in a file. The target appears only when it is complete.

    Examples:

    `./tunery files download file-… train.jsonl`

    `./tunery files download file-… | head -1`
    """
    from cli.client.file_requests import download

    download(file_id, target, as_json=json)


@app.command()
def delete(file_id: FileId, yes: Yes = False, json: AsJson = False) -> None:
    """Delete a file.

    Example: `./tunery files delete file-… -y`
    """
    from cli.client.file_requests import delete

    delete(file_id, yes=yes, as_json=json)


@app.command()
def quotas(json: AsJson = False) -> None:
    """Show how much the project keeps, and how much it may: files, uploads, events, keys. Of Tunery's own servers.

    Example: `./tunery files quotas`
    """
    from cli.client.file_requests import show_quotas

    show_quotas(as_json=json)
