"""How many bytes this process may still take: of the machine, of its control group, of its own limit, of a GPU."""

import resource
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def of_host() -> int | None:
    """The least of what the machine has free, the control group allows and RLIMIT_AS leaves; None if none is known."""
    known = [room for room in (_of_machine(), _of_control_group(), _of_own_limit()) if room is not None]
    return max(0, min(known)) if known else None


def of_gpu(device: str | None = None) -> int:
    """`device`: such as `cuda:1`; None for the one that this process works on."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free)


def _of_machine() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_control_group() -> int | None:
    """The tightest of the group's limits and those of the groups around it (version 2; version 1 has one folder)."""
    rooms = []
    path = next((line[3:] for line in _lines(Path("/proc/self/cgroup")) if line.startswith("0::")), "/")
    folder = _CGROUPS / path.strip().lstrip("/")
    for each in (folder, *folder.parents):
        if _CGROUPS not in (each, *each.parents):
            break
        rooms.append(_room(each / "memory.max", each / "memory.current", each / "memory.stat"))
    old = _CGROUPS / "memory"
    rooms.append(_room(old / "memory.limit_in_bytes", old / "memory.usage_in_bytes", old / "memory.stat"))
    known = [room for room in rooms if room is not None]
    return min(known) if known else None


def _room(limit: Path, used: Path, statistics: Path) -> int | None:
    allowed, taken = _number(limit), _number(used)
    if allowed is None or taken is None:
        return None
    # Pages of files that were read are counted, but given up when memory is asked for.
    cached = next((int(line.split()[1]) for line in _lines(statistics) if line.startswith("inactive_file ")), 0)
    return allowed - taken + cached


def _of_own_limit() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    pages = next(iter(_lines(Path("/proc/self/statm"))), "0").split()[0]
    return soft - int(pages) * resource.getpagesize()


def _number(path: Path) -> int | None:
    text = next(iter(_lines(path)), "").strip()
    return int(text) if text.isdigit() else None  # "max": no limit


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
