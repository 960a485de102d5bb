"""What the ranks of a job tell each other. A job of one process talks to itself."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from trainer.job.stopping import Wish

# Who waits longer than this for a rank that lives (to save, to compute a reference) gives up; that one has died is seen
# at once by who started it.
_PATIENCE = timedelta(hours=2)
_WISHES: tuple[Wish | None, ...] = (None, "paused", "cancelled")  # the later one wins


def join(file: Path, rank: int, count: int, device: str) -> None:
    """Small numbers travel by gloo, on the CPU, gradients on GPUs by NCCL."""
    gpu = device.startswith("cuda")
    if gpu:
        torch.cuda.set_device(rank)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if gpu else "gloo",
        store=dist.FileStore(str(file), count),  # a file:// address is not unquoted: a space in it waits for ever
        rank=rank,
        world_size=count,
        timeout=_PATIENCE,
    )


def part() -> None:
    dist.destroy_process_group()


def number() -> int:
    """This rank's, from 0 on."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def wait_for_all() -> None:
    added([])


def added(values: Sequence[float]) -> list[float]:
    """The sums over all ranks."""
    sums = torch.tensor([*values, 1.0], dtype=torch.float64)
    if count() > 1:
        dist.all_reduce(sums)
    return sums.tolist()[:-1]


def agreed(wish: Wish | None) -> Wish | None:
    """What any of them wishes."""
    strongest = torch.tensor(_WISHES.index(wish))
    if count() > 1:
        dist.all_reduce(strongest, dist.ReduceOp.MAX)
    return _WISHES[int(strongest)]


def gathered(mine: list[Any]) -> list[Any]:
    """The items of all ranks, in the order of the ranks."""
    if count() == 1:
        return mine
    of_each: list[list[Any]] = [[] for _ in range(count())]
    dist.all_gather_object(of_each, mine)
    return [item for items in of_each for item in items]
