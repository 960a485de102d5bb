"""What `TRAINER_RAY_*` says: where the cluster is, and what each job asks of it."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from trainer.server.settings import Settings

RESOURCE = re.compile(r"\s*([A-Za-z_][\w.:-]*)\s*=\s*(\d+(?:\.\d+)?)\s*")
GIGABYTE = 1024**3


@dataclass(frozen=True)
class RaySettings:
    address: str
    token: str
    slots: int
    threads: int
    device: str
    python: str
    code: str
    resources: Mapping[str, Any]
    """Of each job, as Ray's Jobs API names them."""

    def __repr__(self) -> str:
        return f"RaySettings({self.address})"


def read(settings: Settings) -> RaySettings | None:
    """None without a cluster. Exits with a sentence where a setting is wrong."""
    if not settings.ray_address:
        return None
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", settings.ray_address):
        sys.exit("--ray-address (TRAINER_RAY_ADDRESS) must be an address of Ray's dashboard: http://head:8265.")
    token = settings.ray_token.strip()  # a secret from a file ends with a line break
    if not token.isprintable() or not token.isascii():
        sys.exit("--ray-token (TRAINER_RAY_TOKEN) has characters that no header can carry.")
    if settings.ray_slots < 1:
        sys.exit("--ray-slots (TRAINER_RAY_SLOTS) must be a number of jobs from 1 on.")
    asked = {
        "entrypoint_num_cpus": settings.ray_cpus,
        "entrypoint_num_gpus": settings.ray_gpus,
        "entrypoint_memory": int(settings.ray_memory_gb * GIGABYTE),
        "entrypoint_resources": _resources(settings.ray_resources),
    }
    return RaySettings(
        address=settings.ray_address,
        token=token,
        slots=settings.ray_slots,
        threads=settings.threads or max(1, ceil(settings.ray_cpus)),
        device="+".join(f"cuda:{number}" for number in range(settings.devices_of_a_job))
        if settings.ray_gpus
        else "cpu",
        python=settings.ray_python,
        code=settings.ray_code,
        resources={name: value for name, value in asked.items() if value},
    )


def _resources(text: str) -> dict[str, float]:
    found = [RESOURCE.fullmatch(part) for part in text.split(",")] if text.strip() else []
    if not all(found):
        sys.exit("--ray-resources (TRAINER_RAY_RESOURCES) must be names and numbers: slot=1,fast_disk=0.5.")
    return {match[1]: float(match[2]) for match in found if match}
