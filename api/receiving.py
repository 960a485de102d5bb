"""A file on its way from a form to storage: all of it is kept, or nothing."""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from structlog import get_logger

from api.multipart import FormWithFile
from shared.datasets.storage import Writer
from shared.errors import Invalid, StorageUnavailable

log = get_logger(__name__)
Kept = TypeVar("Kept")


async def receive_file(
    request: Request, id: str, field: str, limit: int, keep: Callable[[FormWithFile, Writer], Kept]
) -> Kept:
    """Store the file in this field of the form under an id, and `keep` it in a thread; whatever fails undoes it all.

    Raises `Invalid`, `TooLarge`, or `StorageUnavailable` if the disk or the bucket is full or away.
    """
    try:
        writer = await anyio.to_thread.run_sync(Writer, id)
        form = FormWithFile(writer, field, limit)
        try:
            await form.receive(request)
            return await anyio.to_thread.run_sync(keep, form, writer)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writer.discard)
            raise
    except ClientDisconnect:
        log.info("the client went away in the middle of a file", received=writer.bytes)
        raise Invalid("The file was not sent to its end") from None
    except OSError as error:
        log.error("a file cannot be stored", reason=str(error))
        sentence = "The file cannot be stored at the moment, and nothing of it was kept: tell your operator"
        raise StorageUnavailable(sentence) from error
