"""`/v1/uploads`: receives a large file in parts of up to 64 MB, and joins them when the upload is completed."""

import hashlib
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
        _pending(state, upload_id).add(part, path)  # looked up again: it may have been closed while the bytes arrived
    return answer(part)


@router.post("/{upload_id}/complete")
async def complete_upload(upload_id: str, order: UploadComplete, state: StateDep) -> Response:
    pending = _pending(state, upload_id)
    upload, parts = pending.upload, _paths(pending, order.part_ids)
    with pending.joining(), state.new_file() as path:
        md5 = await run_in_threadpool(_join, parts, path)
        if problem := _mismatch(upload, path, md5, order.md5):
            raise problem
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
    return [pending.paths[part_id] for part_id in part_ids]


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


def _mismatch(upload: Upload, path: Path, md5: str, expected: str | None) -> ApiError | None:
    if (size := path.stat().st_size) != upload.bytes:
        return ApiError(
            400, f"The parts have {size} bytes together, but {upload.bytes} were declared.", param="part_ids"
        )
    if expected and expected.lower() != md5:
        return ApiError(400, "The MD5 of the parts is not the one that was sent.", code="invalid_value", param="md5")
    return None
