"""Which GPU a base is loaded on: the one that jobs and other bases have left the most memory of."""

import logging
import os
import subprocess
from collections.abc import Sequence

log = logging.getLogger("trainer")

SECONDS = 30.0


def with_most_free_memory(devices: Sequence[str]) -> str:
    """One of `devices`, the first one where it cannot be told."""
    if len(devices) == 1:
        return devices[0]
    free = free_megabytes()
    return max(devices, key=lambda device: free.get(device, -1))


def free_megabytes() -> dict[str, int]:
    """By device. Numbers are those that a process sees: CUDA_VISIBLE_DEVICES chooses and orders the machine's GPUs."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
        gpus = [[field.strip() for field in line.split(",")] for line in said.splitlines() if line.strip()]
        by_name = {name: int(free) for index, uuid, free in gpus for name in (index, uuid)}
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.warning("nvidia-smi does not tell the free memory of the GPUs: %s", error)
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in visible.split(",")] if visible else [index for index, _, _ in gpus]
    return {f"cuda:{number}": by_name[name] for number, name in enumerate(names) if name in by_name}
