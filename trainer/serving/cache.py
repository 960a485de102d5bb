"""Keys and values of several rows in one cache: rows join and leave, shorter ones are padded on the left."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


def refusal(config: Any) -> str | None:
    """Why a base with this configuration cannot be served, if so: only keys and values can be joined and padded.

    A layer with a sliding window is kept whole; its mask hides what the window left.
    """
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    strangers = kinds - {DynamicLayer, DynamicSlidingWindowLayer}
    names = ", ".join(sorted(kind.__name__ for kind in strangers))
    return f"its layers keep a state that rows of a batch cannot share ({names})" if strangers else None


def empty() -> Any:
    return DynamicCache()


def joined(caches: Sequence[Any]) -> Any:
    """The rows of all, as long as the longest."""
    if len(caches) == 1:
        return caches[0]
    columns = max(cache.get_seq_length() for cache in caches)
    result = DynamicCache()
    for index, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        keys = torch.cat([_padded(layer.keys, columns) for layer in layers])
        values = torch.cat([_padded(layer.values, columns) for layer in layers])
        result.update(keys, values, index)
    return result


def kept(cache: Any, rows: list[int], columns: int) -> Any:
    """These rows, and their last columns."""
    result = DynamicCache()
    for index, layer in enumerate(cache.layers):
        result.update(layer.keys[rows, :, -columns:], layer.values[rows, :, -columns:], index)
    return result


def bytes_of_a_token(cache: Any) -> int:
    """What one token of one row takes."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor[0, :, 0].numel() * tensor.element_size() for tensor in tensors)


def _padded(tensor: torch.Tensor, columns: int) -> torch.Tensor:
    return torch.nn.functional.pad(tensor, (0, 0, columns - tensor.shape[-2], 0))
