"""`/v1/files`: uploads, lists, downloads and deletes files."""

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from msgspec import UNSET, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import FileResponse, Response

from wire_server import training_file
from wire_server.answers import answer, deleted, list_answer_with_ends
from wire_server.errors import ApiError
from wire_server.expiry import ExpiresAfter
from wire_server.pages import After, cut
from wire_server.records import FileObject, StoredFile
from wire_server.routes.forms import file_of, read_form, save, text_of
from wire_server.state import State, StateDep

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
NOT_DOWNLOADABLE = frozenset({"assistants"})

Order = Annotated[Literal["asc", "desc"], Query()]

router = APIRouter(prefix="/v1/files")


def find(state: State, file_id: str, param: str = "id") -> StoredFile:
    """Raises ApiError 404 if there is no such file; `param` is the parameter that named it."""
    if stored := state.files.get(file_id):
        return stored
    raise ApiError(404, f"No such File object: {file_id}", param=param)


def check_purpose(purpose: str | None) -> str:
    if purpose is None:
        raise ApiError(
            400, "Missing required parameter: 'purpose'.", code="missing_required_parameter", param="purpose"
        )
    if purpose not in PURPOSES:
        message = f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'"
        raise ApiError(400, message, code="invalid_value", param="purpose")
    return purpose


async def keep(state: State, path: Path, filename: str, purpose: str, expires_after: ExpiresAfter | None) -> StoredFile:
    """Makes a file object of the bytes at `path`.

    Raises ApiError 400 if the purpose is fine-tune and the first line is not a JSON object.
    """
    contents = None
    if purpose == "fine-tune":
        if problem := await run_in_threadpool(training_file.first_line_problem, path):
            raise ApiError(400, problem)
        contents = await run_in_threadpool(state.read_training_file, path)
    await run_in_threadpool(state.flush, path)
    now = int(state.now())
    file = FileObject(
        id=state.file_id(),
        bytes=path.stat().st_size,
        created_at=now,
        expires_at=_expiry(now, expires_after),
        filename=filename,
        purpose=purpose,
        status=state.file_status,
    )
    state.files[file.id] = stored = StoredFile(file=file, path=path, contents=contents)
    return stored


def _expiry(now: int, expires_after: ExpiresAfter | None) -> int | UnsetType:
    return now + expires_after.seconds if expires_after else UNSET


@router.post("")
async def create_file(request: Request, state: StateDep) -> Response:
    limit = state.settings.max_file_bytes
    form = await read_form(request, limit)
    try:
        purpose, expires_after = check_purpose(text_of(form, "purpose")), _expires_after(form)
        upload = file_of(form, "file", limit)
        with state.new_file() as path:
            await save(upload, path)
            stored = await keep(state, path, upload.filename or "file", purpose, expires_after)
    finally:
        await form.close()
    return answer(stored.file)


def _expires_after(form: FormData) -> ExpiresAfter | None:
    given = {key: text_of(form, f"expires_after[{key}]") for key in ("anchor", "seconds")}
    if not any(given.values()):
        return None
    try:
        return ExpiresAfter.model_validate(given)
    except ValueError:
        message = "'expires_after' must have the anchor 'created_at' and 3600 to 2592000 seconds."
        raise ApiError(400, message, code="invalid_value", param="expires_after") from None


@router.get("")
async def list_files(
    state: StateDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Order = "desc",
    purpose: str | None = None,
) -> Response:
    files = [stored.file for stored in state.files.values() if purpose in (None, stored.file.purpose)]
    if order == "desc":
        files.reverse()
    return list_answer_with_ends(*cut(files, after, limit))


@router.get("/{file_id}")
async def retrieve_file(file_id: str, state: StateDep) -> Response:
    return answer(find(state, file_id).file)


@router.delete("/{file_id}")
async def delete_file(file_id: str, state: StateDep) -> Response:
    state.remove_file(find(state, file_id))
    return deleted("file", file_id)


@router.get("/{file_id}/content")
async def download_file(file_id: str, state: StateDep) -> Response:
    stored = find(state, file_id)
    if stored.file.purpose in NOT_DOWNLOADABLE:
        raise ApiError(400, f"Not allowed to download files of purpose: {stored.file.purpose}")
    return FileResponse(stored.path, media_type="application/octet-stream", filename=stored.file.filename)
