"""Examines a large file while it is being uploaded, so that little is left to do when the last byte has come.

What is found is a cache. The check does without it where the worker had no time, or where the storage is a bucket.
"""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from structlog import get_logger

from shared.datasets.storage import store
from shared.datasets.validation.check import options_ahead
from shared.datasets.validation.findings.report import DEFAULT_ENCODING
from shared.datasets.validation.scanning.ahead import Known, examine_ahead
from shared.datasets.validation.tokens.counter import quickest_counter
from worker.runtime import shares

log = get_logger(__name__)
TURN_SECONDS = 2.0  # of one message; the upload sends others
NICENESS = 10  # more than that of the worker, so that the upload, and steps that somebody waits for, keep their speed


def examine(dataset_id: str, project_id: str) -> None:
    """Examine what has come so far of a file that is being written, in this turn and while a slot is to spare."""
    if not shares.take_idle_slot(project_id):
        return
    try:
        with suppress(FileNotFoundError):  # the upload is over, or goes to a bucket or another machine
            examine_unfinished(dataset_id)
    except OSError as error:
        log.warning("a file cannot be examined while it is uploaded", file_id=dataset_id, reason=str(error))
    finally:
        shares.leave_slot()


def examine_unfinished(dataset_id: str) -> None:
    with store.open_unfinished(dataset_id) as file, store.open_ahead(dataset_id, file) as ahead:
        path = Path(str(file.name))
        options = options_ahead(file)
        if options is None:
            return
        quickest_counter(DEFAULT_ENCODING)  # which is loaded once in each process, and may be by a check
        until = time.monotonic() + TURN_SECONDS
        with ThreadPoolExecutor(1, initializer=_lower_priority) as pool:
            pool.submit(
                examine_ahead, file, ahead, options, lambda: time.monotonic() < until and path.exists()
            ).result()


def _lower_priority() -> None:
    """Of this thread alone, which ends with its turn: what a process has lowered, it may not raise again."""
    with suppress(OSError, AttributeError):  # only Linux has priorities of threads
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


@contextmanager
def known_ahead(dataset_id: str, file: BinaryIO) -> Iterator[Known | None]:
    """What was found ahead in this file; None if nothing was kept."""
    try:
        ahead = store.open_ahead(dataset_id, file)
    except OSError:  # also of a file in parts, which has no descriptor
        yield None
        return
    with ahead:
        yield Known(ahead, options_ahead(file), os.fstat(file.fileno()).st_size)
