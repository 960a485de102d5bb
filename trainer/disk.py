"""What must be on the disk before what depends on it."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """A file or a folder."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def flush_named(path: Path) -> None:
    """A file, and the entry of its folder, without which a power cut takes the whole file."""
    flush(path)
    flush(path.parent)
