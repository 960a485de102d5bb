"""Parses multipart bodies in constant memory, and stops reading at a size limit."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from wire_server.errors import ApiError

ENVELOPE_BYTES = 64 * 1024
"""Allowed beyond the file itself: boundaries, part headers and the small fields."""


async def read_form(request: Request, max_bytes: int) -> FormData:
    """The fields of a multipart body; files over 1 MB are on disk.

    Raises ApiError 400 for another content type or a malformed body, 413 above the limit.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise ApiError(400, "Expected a body of the content type multipart/form-data.")
    limit = max_bytes + ENVELOPE_BYTES
    if int(request.headers.get("content-length") or 0) > limit:
        raise _too_large(max_bytes)
    parser = MultiPartParser(request.headers, _limited(request.stream(), limit, max_bytes))
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, f"The multipart body could not be read: {error.message}") from None


def file_of(form: FormData, name: str, max_bytes: int) -> UploadFile:
    """The file in this field. Raises ApiError 400 if there is none, 413 if it is too large."""
    file = form.get(name)
    if not isinstance(file, UploadFile):
        message = f"Missing required parameter: '{name}'."
        raise ApiError(400, message, code="missing_required_parameter", param=name)
    if (file.size or 0) > max_bytes:
        raise _too_large(max_bytes)
    return file


def text_of(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) else None


async def save(upload: UploadFile, path: Path) -> None:
    """Copies a received file to `path` in a thread, so that the event loop goes on."""
    await run_in_threadpool(_copy, upload, path)


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(upload.file, target, 1024 * 1024)


async def _limited(stream: AsyncGenerator[bytes, None], limit: int, max_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received > limit:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"The file is larger than the limit of {max_bytes} bytes.", param="file")
