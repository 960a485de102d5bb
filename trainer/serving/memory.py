"""How much memory the rows' keys and values may take, and what it looks like when there is none left."""

import torch

from trainer.job.failures import is_out_of_memory
from trainer.job.memory import available

SHARE = 0.5  # of what is free once the base is loaded: a step copies the cache, and adapters need room too
OF_A_LAPTOP = 4 * 2**30  # where it cannot be told, as beside Linux


def for_rows(device: torch.device) -> int:
    """Bytes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * SHARE)
    free = available.of_host()
    return int((OF_A_LAPTOP if free is None else free) * SHARE)


def is_exhausted(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or is_out_of_memory(error)
