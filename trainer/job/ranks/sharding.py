"""A model of which each rank keeps a part, and gathers each layer when it comes to it (FSDP).

An adapter is small: each rank keeps all of it, and what is sharded are the weights that stay as they are.
"""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from trainer.job.ranks import together

_OPTIMIZER = "optimizer.pt"


def shard(model: Any, device: str) -> None:
    """Before an optimizer is made. The parts go to the rank's device."""
    mesh = init_device_mesh(device, (together.count(),))
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    layers = set(base._no_split_modules or ())
    whole = set() if base is model else {weight for weight in model.parameters() if weight.requires_grad}
    for weight in whole:
        weight.data = weight.data.to(device)
    for module in reversed(list(model.modules())):  # the inner ones first
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh, ignored_params=whole)
    fully_shard(model, mesh=mesh, ignored_params=whole)
    # Transformers' own mark of a model that it has sharded: Trainer neither moves it nor wraps it for DDP, and averages
    # the gradients of what is whole.
    base._is_distributed_loading_by_transformers = True


def whole_weights(model: Any) -> dict[str, torch.Tensor]:
    """All of them for the first rank, none for the others. All ranks must ask."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # a validation leaves them gathered
    found: dict[str, torch.Tensor] = state_dict.get_model_state_dict(model, options=_all_of_it())
    once = {name for name, _ in model.named_parameters()}  # of tied weights the first name
    again = {name for name, _ in model.named_parameters(remove_duplicate=False)} - once
    return {name: weight for name, weight in found.items() if name not in again}


def whole_number(norm: Any) -> Any:
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def save_optimizer(model: Any, optimizer: Any, folder: Path) -> None:
    found = state_dict.get_optimizer_state_dict(model, optimizer, options=_all_of_it())
    if together.number() == 0:
        torch.save(found, folder / _OPTIMIZER)


def load_optimizer(model: Any, optimizer: Any, folder: Path) -> None:
    found = torch.load(folder / _OPTIMIZER, map_location="cpu", weights_only=True) if together.number() == 0 else {}
    options = state_dict.StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    state_dict.set_optimizer_state_dict(model, optimizer, found, options=options)


def _all_of_it() -> Any:
    return state_dict.StateDictOptions(full_state_dict=True, cpu_offload=True)
