"""`/v1/files`: OpenAI's file endpoints; a file of purpose `fine-tune` is also a dataset."""

from typing import Annotated, Literal, get_args

import anyio.to_thread
from fastapi import Query
from fastapi.responses import Response, StreamingResponse
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from structlog import get_logger

from api import idempotency, reads
from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.answer import answer
from api.http.file_upload import receive_file
from api.http.head import IS_HEAD
from api.http.multipart import FormWithFile
from api.http.router import Router
from api.idempotency import IdempotentRoute
from api.rate_limits.middleware import count_rows
from shared.broker.queue import Task, enqueue
from shared.database import transaction
from shared.datasets import quota
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus, Purpose
from shared.datasets.schemas import ExpiresAfter, FileDeleted, FilePublic, UploadPurpose
from shared.datasets.storage import store
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.errors import Invalid, StorageUnavailable
from shared.jobs import service as jobs
from shared.settings import get_settings

log = get_logger(__name__)
router = Router(prefix="/v1/files", tags=["Files"], route_class=IdempotentRoute, dependencies=[scope("files")])

CONTENT_TYPE = "application/octet-stream"
SMALL_BYTES = 2 << 20  # to receive so many costs less than to ask first whether there is room; they are counted anyway
_FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "purpose"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "purpose": {"type": "string", "enum": list(get_args(UploadPurpose))},
                    "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                    "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
                },
            }
        }
    },
}


@router.post("", response_model=FilePublic, openapi_extra={"requestBody": _FORM})
async def create_file(request: Request, caller: CallerDep) -> FilePublic:
    """Upload a file as multipart/form-data.

    A file of purpose `fine-tune` is then checked in the background: its `status` becomes `processed`, or `error` with
    the first problem and its line in `status_details`. Errors: 413 `file_too_large`, 400 for a broken form.
    """

    def record(form: FormWithFile, writer: store.Writer) -> FilePublic:
        filename = datasets.clean_filename(form.check(allowed=_FIELDS))
        purpose, expires_after = _purpose(form.fields), _expires_after(form.fields)
        dataset = Dataset(
            id=writer.id,
            project_id=caller.project_id,
            filename=filename,
            bytes=writer.bytes,
            sha256=writer.finish(),
            purpose=purpose,
        )
        with transaction(caller.project_id) as session:
            idempotency.begin(session, dataset.sha256, filename, form.fields)
            quota.check_files(session, caller.project_id, dataset.bytes)
            datasets.create(session, dataset, expires_after)
            return idempotency.keep(FilePublic.of(dataset))

    def written(form: FormWithFile, writer: store.Writer) -> None:
        if form.fields.get("purpose") == Purpose.FINE_TUNE and writer.has_more_to_examine():
            enqueue(Task.EXAMINE_AHEAD, writer.id, caller.project_id)

    if not _is_small(request):
        await anyio.to_thread.run_sync(_check_room, caller.project_id)
    most = get_settings().max_file_bytes
    return await receive_file(request, datasets.new_dataset_id(), "file", most, record, written)


def _is_small(request: Request) -> bool:
    declared = request.headers.get("content-length", "")
    return declared.isdecimal() and int(declared[:20]) <= SMALL_BYTES


def _check_room(project_id: str) -> None:
    """Refuse before the file comes if there is no room even for a byte."""
    with transaction(project_id) as session:
        quota.check_files(session, project_id, bytes=1, lock=False)


def _purpose(fields: dict[str, str]) -> Purpose:
    if "purpose" not in fields:
        raise Invalid("The form has no field `purpose`", code="missing_required_parameter", param="purpose")
    if fields["purpose"] not in get_args(UploadPurpose):
        raise Invalid(f"purpose must be one of {', '.join(get_args(UploadPurpose))}", param="purpose")
    return Purpose(fields["purpose"])


def _expires_after(fields: dict[str, str]) -> ExpiresAfter | None:
    given = {key: fields[f"expires_after[{key}]"] for key in ("anchor", "seconds") if f"expires_after[{key}]" in fields}
    if not given:
        return None
    try:
        return TypeAdapter(ExpiresAfter).validate_python(given)
    except ValidationError:
        raise Invalid(
            "expires_after needs the anchor `created_at` and seconds from 3600 to 2592000", param="expires_after"
        ) from None


@router.get("", response_model=Page[FilePublic])
async def list_files(
    request: Request,
    caller: CallerDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: Purpose | None = None,
    filename: Annotated[str | None, Query(max_length=255, description="The whole name, as it was uploaded")] = None,
) -> Response:
    """List the project's files, newest first unless `order` is `asc`.

    Each hundred files that are returned count as one request.
    """
    where = [] if purpose is None else [Dataset.purpose == purpose]
    where += [] if filename is None else [Dataset.filename == filename]
    rows = await reads.page(Dataset, caller.project_id, *where, after=after, limit=limit, ascending=order == "asc")
    count_rows(request, min(len(rows), limit))
    return await reads.answer_page(rows, FilePublic.of, limit)


@router.get("/{file_id}", response_model=FilePublic)
async def retrieve_file(caller: CallerDep, file_id: str) -> Response:
    """Return a file's metadata and the status of its check."""
    return answer(FilePublic.of(await reads.one(Dataset, file_id, caller.project_id)))


@router.delete("/{file_id}", response_model=FileDeleted)
def delete_file(session: SessionDep, caller: CallerDep, file_id: str) -> FileDeleted:
    """Delete a file and, in the background, its copies at providers.

    Errors: 400 `file_in_use` if a job that has not been sent to the provider yet needs the file.
    """
    jobs.delete_dataset(session, caller.project_id, file_id)
    return FileDeleted(id=file_id)


@router.get("/{file_id}/content", response_class=StreamingResponse)
def retrieve_file_content(request: Request, session: SessionDep, caller: CallerDep, file_id: str) -> Response:
    """Download a file as it was uploaded; a result file as the provider made it.

    Errors: 400 for a file of purpose `assistants`, as at OpenAI.
    """
    dataset = get_owned(session, Dataset, file_id, caller.project_id)
    if dataset.purpose is Purpose.ASSISTANTS:
        raise Invalid("Not allowed to download files of purpose: assistants", param="id")
    try:
        file = store.open_dataset(dataset.id)
    except FileNotFoundError:
        log.error("the bytes of a file are missing", file_id=dataset.id, status=DatasetStatus(dataset.status))
        raise StorageUnavailable("The content of this file is missing: contact your operator with its id") from None
    headers = {"content-length": str(dataset.bytes)}
    if request.scope.get(IS_HEAD):
        file.close()
        return Response(media_type=CONTENT_TYPE, headers=headers)
    return StreamingResponse(store.chunks(file), media_type=CONTENT_TYPE, headers=headers)
