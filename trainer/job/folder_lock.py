"""One process at a time in a job's folder."""

import fcntl
import os
import time
from pathlib import Path

TAKEN = 76  # exit code
_PATIENCE_SECONDS = 600.0


def hold(folder: Path) -> int | None:
    """Takes the lock until the process ends: the open file. Waits for a process of before that is still leaving; None
    if it stays."""
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= give_up:
                os.close(file)
                return None
            time.sleep(0.2)
        else:
            return file
