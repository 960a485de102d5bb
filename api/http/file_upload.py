"""Stores the file of a multipart form and records it in the database; if either fails, nothing is kept."""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect, Request
from structlog import get_logger

from api.http.multipart import FormWithFile
from shared.datasets.storage.store import Writer
from shared.errors import Invalid, StorageUnavailable

log = get_logger(__name__)
Recorded = TypeVar("Recorded")
# Parts of one upload wait for the lock on its row; without this limit they would take every thread of the process,
# also the one that the holder of the lock needs to commit.
_record_limiter = anyio.CapacityLimiter(16)


async def receive_file(
    request: Request,
    id: str,
    field: str,
    max_bytes: int,
    record: Callable[[FormWithFile, Writer], Recorded],
    written: Callable[[FormWithFile, Writer], object] = lambda *_: None,
) -> Recorded:
    """Store the file of this form field under `id` and return what `record` returns, which runs in a thread.

    `written` is called, in a thread too, each time that some bytes were written.

    Raises `Invalid` for a broken form, `TooLarge` beyond `max_bytes`, and `StorageUnavailable` if the disk or the
    bucket is full or cannot be reached.
    """
    try:
        writer = await anyio.to_thread.run_sync(Writer, id)
        form = FormWithFile(writer, field, max_bytes, lambda form: written(form, writer))
        try:
            await form.receive(request)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writer.discard)
            raise
        return await anyio.to_thread.run_sync(_record_or_discard, record, form, writer, limiter=_record_limiter)
    except ClientDisconnect:
        log.info("the client disconnected while sending a file", received_bytes=writer.bytes)
        raise Invalid("The file was not received completely: send it again") from None
    except OSError as error:
        log.error("a file cannot be stored", reason=str(error))
        sentence = "The file cannot be stored at the moment, and nothing of it was kept: contact your operator"
        raise StorageUnavailable(sentence) from error


def _record_or_discard(
    record: Callable[[FormWithFile, Writer], Recorded], form: FormWithFile, writer: Writer
) -> Recorded:
    """Run both in the same thread, so that cancelling the request cannot discard a file that is being recorded.

    If the connection to the database broke, the commit may or may not have happened. Then the bytes stay: a row without
    its bytes would be worse, and bytes without a row are removed later by `remove_leftovers`.
    """
    try:
        return record(form, writer)
    except BaseException as error:
        if not (isinstance(error, DBAPIError) and error.connection_invalidated):
            writer.discard()
        raise
