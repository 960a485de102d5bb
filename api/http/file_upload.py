"""A file on its way from a form to storage: all of it is kept, or nothing."""

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
Kept = TypeVar("Kept")
_kept_at_once = anyio.CapacityLimiter(16)  # parts of one upload wait for its row, and leave threads to whoever has it


async def receive_file(
    request: Request, id: str, field: str, limit: int, keep: Callable[[FormWithFile, Writer], Kept]
) -> Kept:
    """Store the file in this field of the form under an id, and `keep` it in a thread; what fails undoes it all.

    Raises `Invalid`, `TooLarge`, or `StorageUnavailable` if the disk or the bucket is full or away.
    """
    try:
        writer = await anyio.to_thread.run_sync(Writer, id)
        form = FormWithFile(writer, field, limit)
        try:
            await form.receive(request)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writer.discard)
            raise
        return await anyio.to_thread.run_sync(_keep, keep, form, writer, limiter=_kept_at_once)
    except ClientDisconnect:
        log.info("the client went away in the middle of a file", received=writer.bytes)
        raise Invalid("The file was not sent to its end") from None
    except OSError as error:
        log.error("a file cannot be stored", reason=str(error))
        sentence = "The file cannot be stored at the moment, and nothing of it was kept: tell your operator"
        raise StorageUnavailable(sentence) from error


def _keep(keep: Callable[[FormWithFile, Writer], Kept], form: FormWithFile, writer: Writer) -> Kept:
    """Keep or undo, in one thread: nobody who stops waiting for it can undo what is being kept.

    If the database hung up, nobody knows whether there is a row now: then the bytes stay, and if there is none they
    are removed by `remove_leftovers`. The other way round a row would speak of bytes that are not there.
    """
    try:
        return keep(form, writer)
    except BaseException as error:
        if not (isinstance(error, DBAPIError) and error.connection_invalidated):
            writer.discard()
        raise
