"""Several backups in one folder, each named by the time at which it began, of which the last ones are kept."""

import re
import shutil
from pathlib import Path

from cli.backup.folder import MANIFEST
from shared.db.times import utc_now

_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")


def new_backup(folder: Path) -> Path:
    return folder / f"{utc_now():%Y-%m-%dT%H-%M-%SZ}"


def remove_older(folder: Path, keep: int) -> list[str]:
    """Remove what began before the last `keep` whole backups, cut off or not, and return the names.

    What was cut off since then stays: it may be a backup that somebody else is writing now.
    """
    dated = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())
    whole = [path for path in dated if (path / MANIFEST).exists()]
    older = [path for path in dated if len(whole) > keep and path < whole[-keep]]
    for path in older:
        (path / MANIFEST).unlink(missing_ok=True)  # first, so that half of a backup never counts as one
        shutil.rmtree(path)
    return [path.name for path in older]
