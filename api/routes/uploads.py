"""`/v1/uploads`: large files in parts, which may be sent in any order, in parallel, and repeatedly."""

from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import Query
from starlette.requests import Request

from api import idempotency
from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.file_upload import receive_file
from api.http.multipart import FormWithFile
from api.http.router import Router
from api.idempotency import IdempotentRoute, Replayed
from shared.database import transaction
from shared.datasets import uploads
from shared.datasets.models import Upload, UploadPart
from shared.datasets.schemas import UploadComplete, UploadCreate, UploadPartPublic, UploadPublic
from shared.datasets.storage import store
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.errors import ServiceError
from shared.settings import get_settings

router = Router(prefix="/v1/uploads", tags=["Uploads"], route_class=IdempotentRoute, dependencies=[scope("files")])
_complete_limiter = anyio.CapacityLimiter(4)  # hashing must leave threads and disk bandwidth to other requests

_FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["data"],
                "properties": {"data": {"type": "string", "format": "binary"}},
            }
        }
    },
}


@router.post("", response_model=UploadPublic)
def create_upload(session: SessionDep, caller: CallerDep, new: UploadCreate) -> UploadPublic:
    """Start an upload. It expires after an hour unless it is completed, and its parts are deleted then."""
    return uploads.show(session, uploads.create(session, caller.project_id, new))


@router.get("/{upload_id}", response_model=UploadPublic)
def retrieve_upload(session: SessionDep, caller: CallerDep, upload_id: str) -> UploadPublic:
    """Return an upload and its status. OpenAI has no such endpoint."""
    return uploads.show(session, get_owned(session, Upload, upload_id, caller.project_id))


@router.post("/{upload_id}/parts", response_model=UploadPartPublic, openapi_extra={"requestBody": _FORM})
async def create_part(request: Request, caller: CallerDep, upload_id: str) -> UploadPartPublic:
    """Add a part of up to 64 MB as the form's file `data`. Parts may be sent in parallel, in any order.

    Bytes that equal those of an earlier part return that part instead of adding one; list its id as often as the file
    contains it. Errors: 400 if all parts together would exceed the upload's `bytes`, or if it is not pending.
    """

    def check() -> None:
        with transaction(caller.project_id) as session:
            uploads.get_pending(session, caller.project_id, upload_id)

    def record(form: FormWithFile, writer: store.Writer) -> UploadPartPublic:
        form.check()
        part = UploadPart(
            id=writer.id,
            project_id=caller.project_id,
            upload_id=upload_id,
            bytes=writer.bytes,
            sha256=writer.finish(),
        )
        with transaction(caller.project_id) as session:
            idempotency.begin(session, part.sha256)
            known = uploads.add_part(session, caller.project_id, part)
            answer = idempotency.keep(UploadPartPublic.of(known))
        if known is not part:
            writer.discard()
        return answer

    await anyio.to_thread.run_sync(check)
    return await receive_file(request, uploads.new_part_id(), "data", get_settings().max_part_bytes, record)


@router.get("/{upload_id}/parts", response_model=Page[UploadPartPublic])
def list_parts(
    session: SessionDep,
    caller: CallerDep,
    upload_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[UploadPartPublic]:
    """List the parts received so far, oldest first, so that a client that lost their ids need not send them again.

    The order is that of arrival; use `sha256` to tell which part is which. OpenAI has no such endpoint.
    """
    rows = uploads.list_parts(session, caller.project_id, upload_id, after=after, limit=limit)
    return Page.of([UploadPartPublic.of(row) for row in rows], limit)


@router.post("/{upload_id}/complete", response_model=UploadPublic)
async def complete_upload(caller: CallerDep, upload_id: str, order: UploadComplete) -> UploadPublic:
    """Join the parts, in the given order, into a file, which is then checked like one of `POST /v1/files`.

    It takes about a second per GB. Repeating it with the same parts returns the same file. Errors: 400 if the parts
    do not have the upload's `bytes` or the given `md5`, or if the upload is not pending.
    """
    return await anyio.to_thread.run_sync(_complete, caller.project_id, upload_id, order, limiter=_complete_limiter)


def _complete(project_id: str, upload_id: str, order: UploadComplete) -> UploadPublic:
    with transaction(project_id) as session:
        idempotency.begin(session, order.part_ids, order.md5)
        if completed := uploads.find_completed(session, project_id, upload_id, order):
            return idempotency.keep(uploads.show(session, completed))
        upload = uploads.get_pending(session, project_id, upload_id)
        parts = uploads.parts_in_order(session, upload, order.part_ids)
    dataset = uploads.assemble(upload, parts, order.md5)
    try:
        with transaction(project_id) as session:
            idempotency.begin(session, order.part_ids, order.md5)
            completed = uploads.find_completed(session, project_id, upload_id, order)
            if completed is None:
                made = uploads.complete(session, project_id, upload_id, order, dataset)
                return idempotency.keep(uploads.show(session, made))
            shown = idempotency.keep(uploads.show(session, completed))
    except (ServiceError, Replayed):
        store.unjoin(dataset.id)
        raise
    store.unjoin(dataset.id)
    return shown


@router.post("/{upload_id}/cancel", response_model=UploadPublic)
def cancel_upload(session: SessionDep, caller: CallerDep, upload_id: str) -> UploadPublic:
    """Cancel an upload and delete its parts. Errors: 400 if it is not pending."""
    return uploads.show(session, uploads.cancel(session, caller.project_id, upload_id))
