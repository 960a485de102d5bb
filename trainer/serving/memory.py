"""How much memory the rows' keys and values may take, and what it looks like when there is none left."""

from pathlib import Path

import torch

from trainer.job.failures import is_out_of_memory
from trainer.job.memory import available

SHARE = 0.5  # of what is free once the base is loaded: a step copies the cache, and adapters need room too
OF_A_LAPTOP = 4 * 2**30  # where it cannot be told, as beside Linux


def for_rows(device: torch.device) -> int:
    """Bytes."""
    free = _free(device)
    return int((OF_A_LAPTOP if free is None else free) * SHARE)


def check_room(folder: Path, device: torch.device) -> None:
    """Raises MemoryError if the weights are larger than what jobs and other bases have left."""
    needed, free = sum(file.stat().st_size for file in folder.glob("*.safetensors")), _free(device)
    if free is not None and needed > free:
        raise MemoryError(f"its weights take {needed:,} bytes, and {free:,} are free on {device}")


def _free(device: torch.device) -> int | None:
    """Bytes, None if it cannot be told."""
    return available.of_gpu(str(device)) if device.type == "cuda" else available.of_host()


def is_exhausted(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or is_out_of_memory(error)
