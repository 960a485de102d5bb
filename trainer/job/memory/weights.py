"""Shapes of a base's weights, read from the heads of its safetensors files without loading them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

_HEAD_LIMIT = 100_000_000  # bytes; the format's own
_OF_TOKENS = ("embed", "wte", "lm_head", "output.weight")  # never adapted by "all-linear"


def shapes(base: Path) -> dict[str, list[int]]:
    """Empty where the base has no safetensors."""
    return {name: shape for path in sorted(base.glob("*.safetensors")) for name, shape in _of_file(path)}


def parameters(of: dict[str, list[int]]) -> int:
    return sum(_product(shape) for shape in of.values())


def adapter_parameters(of: dict[str, list[int]], targets: str | list[str], rank: int) -> int:
    """Two matrices for each linear layer that is adapted."""
    return sum(
        rank * (shape[0] + shape[1])
        for name, shape in of.items()
        if len(shape) == 2 and name.endswith(".weight") and _is_target(name, targets)
    )


def _is_target(name: str, targets: str | list[str]) -> bool:
    module = name.removesuffix(".weight")
    if isinstance(targets, str):
        return not any(word in name for word in _OF_TOKENS)
    return any(module == target or module.endswith(f".{target}") for target in targets)


def _of_file(path: Path) -> Iterator[tuple[str, list[int]]]:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        head = json.loads(file.read(min(size, _HEAD_LIMIT)))
    for name, entry in head.items():
        if name != "__metadata__":
            yield name, entry["shape"]


def _product(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product
