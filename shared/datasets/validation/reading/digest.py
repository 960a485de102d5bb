"""Computes the SHA-256 of a file in a thread beside its check: hashing releases the interpreter lock."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO

READ_BYTES = 1 << 20


def path_of(file: BinaryIO) -> Path | None:
    """The path of an open file; None if it has none, or if another file has taken its path since."""
    try:
        path = Path(str(file.name))
        return path.absolute() if os.path.samestat(os.fstat(file.fileno()), path.stat()) else None
    except (AttributeError, OSError, ValueError):
        return None


def begin_sha256(stack: ExitStack, file: BinaryIO) -> Callable[[], str]:
    """Start to hash a file, and return a function that waits for the SHA-256 in hexadecimal.

    A file without a path cannot be read in a second thread: that function hashes it when it is called.
    """
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
    while piece := file.read(READ_BYTES):
        hashed.update(piece)
    return hashed.hexdigest()
