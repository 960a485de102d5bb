"""`/v1/uploads`: large files in parts, which may come in any order, at once, and more than once."""

from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.requests import Request

from api import idempotency
from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.file_upload import receive_file
from api.http.multipart import FormWithFile
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

router = APIRouter(prefix="/v1/uploads", tags=["Uploads"], route_class=IdempotentRoute, dependencies=[scope("files")])
COMPLETED_AT_ONCE = anyio.CapacityLimiter(4)  # so that hashing leaves threads and disks to other requests

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
    """Begin to send a file in parts. It expires after an hour, and then nothing of it is left."""
    return uploads.show(session, uploads.create(session, caller.project_id, new))


@router.get("/{upload_id}", response_model=UploadPublic)
def retrieve_upload(session: SessionDep, caller: CallerDep, upload_id: str) -> UploadPublic:
    """How far an upload is: for a client that lost an answer. OpenAI has no such call."""
    return uploads.show(session, get_owned(session, Upload, upload_id, caller.project_id))


@router.post("/{upload_id}/parts", response_model=UploadPartPublic, openapi_extra={"requestBody": _FORM})
async def create_part(request: Request, caller: CallerDep, upload_id: str) -> UploadPartPublic:
    """Send a part, of 64 MB at most, as the file `data`. Parts may come at once; their order is said at the end.

    A part that would bring what has been received beyond the upload's `bytes` is refused, and not kept. The same bytes
    once more are no new part: the answer is the part that is here already. Name it as often as the file has it.
    """

    def check() -> None:
        with transaction(caller.project_id) as session:
            uploads.get_pending(session, caller.project_id, upload_id)

    def keep(form: FormWithFile, writer: store.Writer) -> UploadPartPublic:
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
    return await receive_file(request, uploads.new_part_id(), "data", get_settings().max_part_bytes, keep)


@router.get("/{upload_id}/parts", response_model=Page[UploadPartPublic])
def list_parts(
    session: SessionDep,
    caller: CallerDep,
    upload_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[UploadPartPublic]:
    """The parts that are here, the oldest first: what a client that lost their ids need not send again.

    They are in the order in which they came in, which need not be the file's: `sha256` tells which is which. OpenAI
    has no such call.
    """
    rows = uploads.list_parts(session, caller.project_id, upload_id, after=after, limit=limit)
    return Page.of([UploadPartPublic.of(row) for row in rows], limit)


@router.post("/{upload_id}/complete", response_model=UploadPublic)
async def complete_upload(caller: CallerDep, upload_id: str, order: UploadComplete) -> UploadPublic:
    """Make a file of the parts, in this order. To repeat it with the same parts gives the same file.

    The bytes are hashed first, about a second per GB; then the file is what it would be after `POST /v1/files`.
    """
    return await anyio.to_thread.run_sync(_complete, caller.project_id, upload_id, order, limiter=COMPLETED_AT_ONCE)


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
    """Take no more parts, and remove those that came."""
    return uploads.show(session, uploads.cancel(session, caller.project_id, upload_id))
