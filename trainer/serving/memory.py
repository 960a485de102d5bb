"""How much memory the rows' keys and values may take, and what it looks like when there is none left."""

from pathlib import Path

import torch

SHARE = 0.5  # of what is free once the base is loaded: a step copies the cache, and adapters need room too


def for_rows(device: torch.device) -> int:
    """Bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * SHARE)
    return int(min(_available(), _left_to_the_container()) * SHARE)


def is_exhausted(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def _available() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 * 2**30  # not Linux: a laptop, which has at least that


def _left_to_the_container() -> float:
    try:
        group = Path("/sys/fs/cgroup")
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # there is none, or "max"
        return float("inf")
