"""`/v1/accounts/{account}/datasets`: created by an id of the caller, then filled by a form or at a signed address."""

import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.datasets.training_file import Dataset
from sandbox.records import StoredFile
from sandbox.wires.fireworks.access import AccountDep, check_fields, json_object, page, time
from sandbox.wires.fireworks.engine import FireworksSandbox
from sandbox.wires.fireworks.status import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, StatusError
from wire_server.answers import answer
from wire_server.records import FileObject
from wire_server.routes.forms import file_of, read_form, save

MAX_FORM_BYTES = 150_000_000
ID = re.compile("[a-z][a-z0-9-]{0,62}")
UPLOADING, PROCESSED = "uploading", "processed"
FIELDS = frozenset({"displayName", "exampleCount", "format", "userUploaded", "externalUrl"})

router = APIRouter(prefix="/v1/accounts/{account}/datasets")


def find(engine: FireworksSandbox, id: str) -> StoredFile:
    stored = engine.files.get(id)
    if stored is None or stored.file.purpose != "fine-tune":
        raise StatusError(NOT_FOUND, f"dataset accounts/{engine.account}/datasets/{id} not found")
    assert isinstance(stored, StoredFile)
    return stored


def check_new(engine: FireworksSandbox, id: str, what: str, taken: bool) -> None:
    """Raises StatusError for an id that is odd or `taken`."""
    if not ID.fullmatch(id):
        raise StatusError(INVALID_ARGUMENT, f"invalid {what} id {id!r}: lower-case letters, digits and hyphens only")
    if taken:
        raise StatusError(ALREADY_EXISTS, f"{what} {id} already exists", engine.switches.exists_status)


def problem(engine: FireworksSandbox, stored: StoredFile) -> str | None:
    """What is found wrong with it after the upload, if that is found by then."""
    return stored.contents.problem if stored.contents and engine.switches.late_failure else None


def is_ready(engine: FireworksSandbox, stored: StoredFile) -> bool:
    uploaded_at = engine.uploaded_at.get(stored.file.id, 0.0)
    is_over = uploaded_at + engine.switches.ready_after <= engine.now()
    return stored.file.status == PROCESSED and is_over and problem(engine, stored) is None


def shown(engine: FireworksSandbox, stored: StoredFile) -> dict[str, Any]:
    file, contents = stored.file, stored.contents
    looked_at = (
        stored.file.status == PROCESSED
        and engine.uploaded_at.get(file.id, 0.0) + engine.switches.ready_after <= engine.now()
    )
    wrong = problem(engine, stored) if looked_at else None
    tokens = str(contents.tokens) if isinstance(contents, Dataset) else "0"
    return {
        "name": f"accounts/{engine.account}/datasets/{file.id}",
        "displayName": file.filename,
        "createTime": time(file.created_at),
        "updateTime": time(file.created_at),
        "state": "READY" if is_ready(engine, stored) else "UPLOADING",
        "status": {"code": "INVALID_ARGUMENT" if wrong else "OK", "message": wrong or ""},
        "exampleCount": str(contents.n_examples) if contents else "0",
        "estimatedTokenCount": tokens,
        "userUploaded": {},
        "format": "CHAT",
        "createdBy": "sandbox@example.com",
    }


@router.post("")
async def create_dataset(request: Request, engine: AccountDep) -> Response:
    body = await json_object(request)
    check_fields(body, frozenset({"datasetId", "dataset"}))
    id, fields = str(body.get("datasetId") or ""), body.get("dataset")
    if not isinstance(fields, dict):
        raise StatusError(INVALID_ARGUMENT, "dataset is required")
    check_fields(fields, FIELDS)
    check_new(engine, id, "dataset", id in engine.files)
    path = engine.new_path()
    path.touch()
    file = FileObject(
        id=id,
        bytes=0,
        created_at=int(engine.now()),
        filename=str(fields.get("displayName") or ""),
        purpose="fine-tune",
        status=UPLOADING,
    )
    engine.files[id] = stored = StoredFile(file=file, path=path)
    return answer(shown(engine, stored))


@router.get("")
async def list_datasets(request: Request, engine: AccountDep) -> Response:
    found = [stored for stored in engine.files.values() if stored.file.purpose == "fine-tune"]
    found.sort(key=lambda stored: stored.file.id)
    answered = page(request, "datasets", found, lambda stored: shown(engine, find(engine, stored.file.id)))
    return answer(answered if found or engine.switches.says_empty else {})


@router.post("/{dataset}:upload")
async def upload_dataset(dataset: str, request: Request, engine: AccountDep) -> Response:
    stored = find(engine, dataset)
    form = await read_form(request, MAX_FORM_BYTES)
    try:
        upload = file_of(form, "file", MAX_FORM_BYTES)
        with engine.new_file() as path:
            await save(upload, path)
            await fill(engine, stored, path)
    finally:
        await form.close()
    file = stored.file
    return answer(
        {
            "id": dataset,
            "object": "file",
            "bytes": file.bytes,
            "created_at": file.created_at,
            "filename": upload.filename,
            "purpose": "fine-tune",
        }
    )


async def fill(engine: FireworksSandbox, stored: StoredFile, path: Path) -> None:
    """Gives a dataset these bytes. Raises StatusError if it has some already."""
    if stored.file.status == PROCESSED:
        raise StatusError(FAILED_PRECONDITION, f"dataset {stored.file.id} is not in the state UPLOADING")
    contents = await run_in_threadpool(engine.read_training_file, path)
    stored.path.unlink(missing_ok=True)
    stored.path, stored.contents = path, contents
    stored.file.bytes, stored.file.status = path.stat().st_size, PROCESSED
    engine.uploaded_at[stored.file.id] = engine.now()


@router.post("/{dataset}:getUploadEndpoint")
async def get_upload_endpoint(dataset: str, request: Request, engine: AccountDep) -> Response:
    sizes = (await json_object(request)).get("filenameToSize")
    find(engine, dataset)
    if not isinstance(sizes, dict) or not all(isinstance(size, str) and size.isdecimal() for size in sizes.values()):
        raise StatusError(INVALID_ARGUMENT, "filenameToSize must be a map from names to sizes, which are texts")
    urls = {name: engine.signed(request, f"uploads/{dataset}/{size}") for name, size in sizes.items()}
    return answer({"filenameToSignedUrls": urls})


@router.post("/{dataset}:validateUpload")
async def validate_upload(dataset: str, engine: AccountDep) -> Response:
    stored = find(engine, dataset)
    if stored.file.status != PROCESSED:
        raise StatusError(FAILED_PRECONDITION, "the files of the dataset have not been uploaded")
    return answer({})


@router.get("/{dataset}:getDownloadEndpoint")
async def get_download_endpoint(dataset: str, request: Request, engine: AccountDep) -> Response:
    stored = find(engine, dataset)
    return answer({"filenameToSignedUrls": {stored.file.filename: engine.signed(request, f"datasets/{dataset}")}})


@router.get("/{dataset}")
async def retrieve_dataset(dataset: str, engine: AccountDep) -> Response:
    return answer(shown(engine, find(engine, dataset)))


@router.delete("/{dataset}")
async def delete_dataset(dataset: str, engine: AccountDep) -> Response:
    engine.remove_file(find(engine, dataset))
    return answer({})
