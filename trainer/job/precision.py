"""In which numbers a base is loaded and computed: bfloat16 where the hardware has it, else float32."""

from pathlib import Path

_OF_PROCESSORS = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names them; the last on ARM


def has_bfloat16(device: str) -> bool:
    """Without support in hardware a step in bfloat16 takes many times as long as one in float32."""
    if device.startswith("cuda"):
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(not _OF_PROCESSORS.isdisjoint(line.split()) for line in _lines())


def _lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
