"""What the `tunery files` commands ask of the server, by the official SDK."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from cli.api_client import Found, get
from cli.client.arguments import agree, local_file
from cli.client.output import (
    print_document,
    print_fields,
    print_fitting,
    print_list,
    short_time,
    size,
)
from cli.client.pages import page_size, take
from cli.client.server import connected, tunerys_own
from cli.columns import printable, say
from cli.datasets.output import publish, unfinished_file
from cli.failure import Failure

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

CHUNKED_ABOVE = 512 << 20  # bytes; OpenAI accepts no larger file in one request
POLL_SECONDS = 0.5
CHECKED = ("processed", "error", "deleted")


def upload(named: str, purpose: str, *, wait: bool, as_json: bool) -> None:
    path = local_file(named)
    if path is None:
        raise Failure(f"There is no file {named} here.")
    with connected() as client:
        file = send(client, path, purpose)
        say(f"{path} is uploaded, {size(path.stat().st_size)}.")
        if wait:
            file = until_checked(client, file)
    if as_json:
        print_document(file)
    else:
        print(file["id"])
    if file["status"] == "error":
        raise Failure(refusal_of(file))
    if wait:
        say(f"The server has checked it: {file['status']}.")
    elif purpose == "fine-tune" and file["status"] not in CHECKED:
        say(f"The server checks it now. How that goes: ./tunery files show {file['id']}")


def send(client: "OpenAI", path: Path, purpose: str) -> Found:
    """The file's object. A large file is sent in parts."""
    what = cast(Any, purpose)
    if path.stat().st_size == 0:
        raise Failure(f"{path} is empty.")
    if path.stat().st_size > CHUNKED_ABOVE:
        done = client.uploads.upload_file_chunked(file=path, mime_type="text/jsonl", purpose=what)
        return cast(Found, done.to_dict()["file"])
    with path.open("rb") as body:
        return client.files.create(file=body, purpose=what).to_dict()


def until_checked(client: "OpenAI", file: Found) -> Found:
    """The file when the server has checked it; at once on a server that never says that it checks."""
    try:
        while file["status"] not in CHECKED:
            time.sleep(POLL_SECONDS)
            file = client.with_options(max_retries=5).files.retrieve(file["id"]).to_dict()
    except KeyboardInterrupt:
        say(f"\nThe check goes on. How it went: ./tunery files show {file['id']}")
        raise
    return file


def refusal_of(file: Found) -> str:
    details = (file.get("status_details") or "The server does not say why").removesuffix(".")
    return f"{file['id']} cannot be trained on. {details}. All of its errors: ./tunery datasets errors {file['id']}"


def list_files(purpose: str | None, limit: int, after: str | None, *, all: bool, as_json: bool) -> None:
    with connected() as client:
        given: Any = {name: value for name, value in (("purpose", purpose), ("after", after)) if value}
        files, has_more = take(client.files.list(**given, limit=page_size(limit, all)), limit, all)
    titles = ("FILE", "STATUS", "CREATED", "SIZE", "PURPOSE", "NAME")
    rows = [_row(file) for file in files]
    none = "There are no files. Upload one: ./tunery files upload FILE"
    print_list(files, has_more, titles, rows, as_json=as_json, none=none)


def _row(file: Found) -> list[str]:
    created, length = short_time(file.get("created_at")), size(file.get("bytes") or 0)
    return [file["id"], file.get("status") or "", created, length, file["purpose"], file.get("filename") or ""]


def show(file_id: str, *, as_json: bool) -> None:
    with connected() as client:
        file: Found = client.files.retrieve(file_id).to_dict()
    if as_json:
        print_document(file)
        return
    expires = file.get("expires_at")
    print_fields(
        [
            ("file", file["id"]),
            ("name", file.get("filename")),
            ("purpose", file["purpose"]),
            ("size", size(file.get("bytes") or 0)),
            ("created", short_time(file.get("created_at"))),
            ("expires", short_time(expires) if expires else None),
            ("status", file.get("status")),
            ("details", file.get("status_details")),
        ]
    )
    if file.get("status") == "error":
        say(f"All of its errors: ./tunery datasets errors {file_id}")


def download(file_id: str, target: Path | None, *, as_json: bool) -> None:
    if as_json and target is None:
        raise typer.BadParameter("--json needs a TARGET: standard output cannot have both")
    with connected() as client:
        written = save(client, file_id, target)
    if as_json:
        print_document({"id": file_id, "path": str(target), "bytes": written})
    elif target:
        say(f"{target} is written, {size(written)}.")


def save(client: "OpenAI", file_id: str, target: Path | None) -> int:
    """Writes a file's content to the target, or to standard output; the number of bytes."""
    if target and not target.absolute().parent.is_dir():
        raise Failure(f"There is no folder {target.absolute().parent}.")
    with unfinished_file(target) as file, client.files.with_streaming_response.content(file_id) as content:
        for chunk in content.iter_bytes():
            file.write(chunk)
        written = file.tell()
        publish(file, target)
    return written


def delete(file_id: str, *, yes: bool, as_json: bool) -> None:
    with connected() as client:
        if not yes:
            name = printable(client.files.retrieve(file_id).filename)
            agree(f"Delete {name} ({file_id})?", yes=yes)
        deleted = client.files.delete(file_id).to_dict()
    if as_json:
        print_document(deleted)
    else:
        print(f"{file_id} is deleted.")


def show_quotas(*, as_json: bool) -> None:
    with connected() as client, tunerys_own("quotas", "Ask its operator what you may keep."):
        quotas = get(client, "/project")["quotas"]
    if as_json:
        print_document(quotas)
        return
    rows = [
        [name.replace("_", " "), str(each["used"]), "none" if each["limit"] is None else str(each["limit"])]
        for name, each in quotas.items()
    ]
    print_fitting(("QUOTA", "USED", "LIMIT"), rows)
