"""A file beside one that is being written, for what workers find in its bytes ahead of the check.

It is a cache: who finds it missing, or made for another file, does without.
"""

import os
import socket
from functools import cache
from pathlib import Path

AHEAD = ".ahead.part"  # the end of its name, by which `remove_leftovers` knows it
BEGINS_AT_BYTES = 64 << 20  # a smaller file is checked as quickly without
SLICE_BYTES = 16 << 20
MAX_LINE_BYTES = 1 << 20  # of a line that crosses the end of a slice; a longer one is left to the check


def slices_of(arrived: int) -> int:
    """How many slices of a file can be examined when so many bytes have arrived, with the ends of their last lines."""
    return max(0, arrived - MAX_LINE_BYTES) // SLICE_BYTES


def mark_of(descriptor: int) -> bytes:
    """Names a file and the running kernel that holds its pages.

    Only by that kernel is a file read as it is written: by another machine, over a network, it may be read with gaps.
    """
    stat = os.fstat(descriptor)
    return f"{_kernel()} {stat.st_dev} {stat.st_ino}\n".encode()


@cache
def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux
        return socket.gethostname()
