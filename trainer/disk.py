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
