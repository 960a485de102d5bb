"""The SHA-256 of a file, taken beside its check: hashing lets other threads run."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO


def path_of(file: BinaryIO) -> Path | None:
    """Where an open file lies; None if it is no file, or one that has been moved or removed since."""
    try:
        path = Path(str(file.name))
        return path.absolute() if os.path.samestat(os.fstat(file.fileno()), path.stat()) else None
    except (AttributeError, OSError, ValueError):
        return None


def begin_sha256(stack: ExitStack, file: BinaryIO) -> Callable[[], str]:
    """Begin to hash a file that has a path; what is returned waits for the end of it, or hashes one that has none."""
    path = path_of(file)
    if path is None:
        return lambda: _of_open_file(file)
    pool = stack.enter_context(ThreadPoolExecutor(1))
    return pool.submit(_of_path, path).result


def _of_path(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _of_open_file(file: BinaryIO) -> str:
    file.seek(0)
    hashed = sha256()
    while piece := file.read(1 << 20):
        hashed.update(piece)
    return hashed.hexdigest()
