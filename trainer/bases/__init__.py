"""The bases: open weights that an operator has named, and that jobs are trained on. Standard library only.

`bases/NAME/` of the trainer's folder holds `base.json` and `weights`, which is a folder or a link to one.
"""

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Refused(Exception):
    """Why a base cannot be added, found or removed, as a sentence."""


@dataclass(frozen=True)
class Base:
    """What `base.json` says. `learning_rate` is what a multiplier of 1.0 means for a base of this size."""

    name: str
    created: int
    folder: str
    parameters: int
    context: int
    vocabulary: int
    hidden: int
    layers: int
    licence: str | None
    template_sha256: str
    learning_rate: float
    dtype: str
    source: str


def listed(folder: Path) -> list[Base]:
    """Sorted by name. One that is half added is not there."""
    files = sorted((folder / "bases").glob("[a-z0-9]*/base.json"))
    return [_read(file) for file in files]


def find(folder: Path, name: str) -> Base:
    file = folder / "bases" / name / "base.json"
    if not NAME.fullmatch(name) or not file.exists():
        names = ", ".join(base.name for base in listed(folder)) or "none yet"
        raise Refused(f"There is no base {name!r} here. There are: {names}.")
    return _read(file)


def _read(file: Path) -> Base:
    """Fields that a newer version wrote are passed over. The trainer's folder may have been moved since."""
    said = json.loads(file.read_text())
    if (weights := file.absolute().with_name("weights")).exists():
        said["folder"] = str(weights)
    return Base(**{field.name: said[field.name] for field in fields(Base)})
