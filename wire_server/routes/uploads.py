"""`/v1/uploads`: receives a large file in parts of up to 64 MB, and joins them when the upload is completed."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.expiry import ExpiresAfter
from wire_server.records import Upload, UploadPart, new_id
from wire_server.routes import files
from wire_server.routes.forms import file_of, read_form, save
from wire_server.state import PendingUpload, State, StateDep

MAX_UPLOAD_BYTES = 8 * 1024**3
CHUNK_BYTES = 1024 * 1024

router = APIRouter(prefix="/v1/uploads")


class UploadCreate(BaseModel):
    """The body of the create call. `bytes` (at most 8 GB) must be the exact sum of the parts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filename: Annotated[str, Field(min_length=1)]
    purpose: str
    bytes: Annotated[int, Field(ge=1, le=MAX_UPLOAD_BYTES)]
    mime_type: str
    expires_after: ExpiresAfter | None = None


class UploadComplete(BaseModel):
    """The parts in the order of the file, and optionally the MD5 of the whole file as hex."""

    model_config = ConfigDict(extra="forbid", strict=True)

    part_ids: Annotated[list[str], Field(min_length=1)]
    md5: str | None = None


def _pending(state: State, upload_id: str) -> PendingUpload:
    """The upload. Raises ApiError 404 if there is none with this id, 400 if it accepts no more parts."""
    pending = state.uploads.get(upload_id)
    if pending is None:
        raise ApiError(404, f"No such Upload object: {upload_id}", param="id")
    if pending.is_joining:
        raise ApiError(400, f"The upload {upload_id} is being completed and cannot be changed any more.")
    if pending.upload.status != "pending":
        raise ApiError(400, f"The upload {upload_id} is {pending.upload.status} and cannot be changed any more.")
    return pending


@router.post("")
async def create_upload(new: UploadCreate, state: StateDep) -> Response:
    now = int(state.now())
    upload = Upload(
        id=new_id("upload_", 32),
        bytes=new.bytes,
        created_at=now,
        filename=new.filename,
        purpose=files.check_purpose(new.purpose),
        expires_at=now + state.settings.upload_lifetime,
    )
    state.uploads[upload.id] = PendingUpload(upload, new.expires_after)
    return answer(upload)


@router.post("/{upload_id}/parts")
async def add_part(upload_id: str, request: Request, state: StateDep) -> Response:
    _pending(state, upload_id)
    limit = state.settings.max_part_bytes
    form = await read_form(request, limit)
    with state.new_file() as path:
        try:
            await save(file_of(form, "data", limit), path)
            await run_in_threadpool(state.flush, path)
        finally:
            await form.close()
        part = UploadPart(id=new_id("part_", 32), created_at=int(state.now()), upload_id=upload_id)
        pending = _pending(state, upload_id)  # again: it may have been closed while the bytes arrived
        most = 2 * pending.upload.bytes + limit  # a part whose answer was lost is sent again
        if _size([*pending.paths.values(), path]) > most:
            raise ApiError(400, f"The upload has parts of more than {most} bytes: cancel it, and begin anew.")
        pending.add(part, path)
    return answer(part)


@router.post("/{upload_id}/complete")
async def complete_upload(upload_id: str, order: UploadComplete, state: StateDep) -> Response:
    pending = _pending(state, upload_id)
    upload, parts = pending.upload, _paths(pending, order.part_ids)
    with pending.joining(), state.new_file() as path:
        md5 = await run_in_threadpool(_join, parts, path)
        if order.md5 and order.md5.lower() != md5:
            message = "The MD5 of the parts is not the one that was sent."
            raise ApiError(400, message, code="invalid_value", param="md5")
        stored = await files.keep(state, path, upload.filename, upload.purpose, pending.expires_after)
    upload.file = stored.file
    state.close_upload(pending, "completed")
    return answer(upload)


@router.post("/{upload_id}/cancel")
async def cancel_upload(upload_id: str, state: StateDep) -> Response:
    pending = _pending(state, upload_id)
    state.close_upload(pending, "cancelled")
    return answer(pending.upload)


def _paths(pending: PendingUpload, part_ids: list[str]) -> list[Path]:
    for part_id in part_ids:
        if part_id not in pending.paths:
            message = f"The part {part_id} is not one of this upload."
            raise ApiError(400, message, code="invalid_value", param="part_ids")
    if len(set(part_ids)) < len(part_ids):
        raise ApiError(400, "A part is named twice: name each once.", code="invalid_value", param="part_ids")
    paths = [pending.paths[part_id] for part_id in part_ids]
    if (size := _size(paths)) != (declared := pending.upload.bytes):
        message = f"The parts have {size} bytes together, but {declared} were declared."
        raise ApiError(400, message, param="part_ids")
    return paths


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _join(parts: list[Path], path: Path) -> str:
    """Writes the parts one after the other to `path`; the MD5 of the whole as hex."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
    return digest.hexdigest()
