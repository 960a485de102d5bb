"""Writes a file all or nothing: under a temporary name beside it, renamed when it is complete."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


@contextmanager
def unfinished_file(target: Path | None) -> Iterator[IO[bytes]]:
    """A file to write into, which is gone afterwards unless `publish` has made it the target.

    It lies beside the target, because only within one file system is renaming atomic.
    """
    is_file = target is not None and (target.is_file() or not target.exists())
    folder, name = (target.parent, target.name) if target and is_file else (None, "tunery")
    with NamedTemporaryFile("wb", dir=folder, prefix=f".{name[:64]}.", delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def publish(file: IO[bytes], target: Path | None) -> None:
    """Make a complete file the target; without a target, or if it is a pipe or a device, copy it there."""
    file.flush()
    if target is None:
        with Path(file.name).open("rb") as written:
            shutil.copyfileobj(written, sys.stdout.buffer)
        sys.stdout.flush()
    elif target.exists() and not target.is_file():
        with Path(file.name).open("rb") as written, target.open("wb") as pipe:
            shutil.copyfileobj(written, pipe)
    else:
        os.fsync(file.fileno())
        unfinished = Path(file.name)
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
