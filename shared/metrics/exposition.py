"""Shows the metrics of a server to Prometheus, added up over the processes that it consists of.

A server of one process keeps its values in memory. One of several, such as a worker whose steps run in children,
shares them: each process writes a file that is mapped into memory, and whoever is asked reads the files of all. A file
is named after a place among the processes, not after a process: the next child at that place goes on with it, so no
count is lost or made smaller when children are replaced, and there are never more files than places.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from structlog import get_logger

from shared.metrics.instruments import INFO, POOL_CONNECTIONS, REGISTRY
from shared.version import VERSION

log = get_logger(__name__)
_PREFIX = "tunery-metrics-"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks for the folder
_place = ""


def share(owner: int, place: str) -> None:
    """Share the values with all processes that name the same `owner`, a process that outlives them.

    Call it before the first value changes. Folders of owners that have ended are removed.
    """
    _remove_leftovers()
    folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{owner}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
    except OSError as error:
        log.error("metrics are those of one process only: their folder cannot be made", reason=str(error))
        return
    os.environ[_FOLDER] = str(folder)
    library: Any = values  # which has no types
    library.ValueClass = library.MultiProcessValue(lambda: _place)
    take_place(place)


def take_place(place: str) -> None:
    """Go on with the values of this place, as a child of the process that shares its own does.

    Who was there before may have been killed while it had a connection: another child, or the process that had the same
    number before its container was started again.
    """
    global _place
    _place = place
    POOL_CONNECTIONS.labels("in_use").set(0)


def stop_sharing() -> None:
    """Remove the folder of the shared values, at the end of its owner."""
    if folder := os.environ.pop(_FOLDER, None):
        shutil.rmtree(folder, ignore_errors=True)


def introduce(process: str) -> None:
    """Let `tunery_info` say which server this is."""
    INFO.labels(process, VERSION).set(1)


def text() -> bytes:
    """All metrics in Prometheus's text format."""
    folder = os.environ.get(_FOLDER)
    if folder is None:
        return generate_latest(REGISTRY)
    _forget_dead(Path(folder))
    registry = CollectorRegistry()
    collector: Any = MultiProcessCollector
    collector(registry, folder)
    return generate_latest(registry)


def _forget_dead(folder: Path) -> None:
    """Remove what counts only while its process lives, of processes of the api that have ended."""
    for file in folder.glob("gauge_live*_*.db"):
        place = file.stem.rpartition("_")[2]
        if place.isdecimal() and not _is_alive(int(place)):
            file.unlink(missing_ok=True)


def _remove_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX)
        if owner.isdecimal() and not _is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True
