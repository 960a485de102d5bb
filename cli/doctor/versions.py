"""The versions of Python and of the packages, compared with the lock."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cli.doctor.result import Result, fail, ok, warn
from shared.version import VERSION

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
OLDEST_PYTHON = (3, 11)


def check() -> Iterator[Result]:
    python = sys.version.split()[0]
    if sys.version_info < OLDEST_PYTHON:
        yield fail("versions", f"Python {python}", "Use Python 3.11 or newer.")
    locked = re.findall(r"^([\w.-]+)==(\S+) \\$", LOCK.read_text(), re.MULTILINE) if LOCK.exists() else []
    others = [
        f"{name} {found or 'missing'} instead of {wanted}" for name, wanted in locked if (found := _of(name)) != wanted
    ]
    if others:
        yield warn("versions", "; ".join(others), "Install requirements.lock: other versions are not tested.")
    else:
        yield ok("versions", f"Tunery {VERSION}, Python {python}, {len(locked)} packages as in the lock")


def _of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
