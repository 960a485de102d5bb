"""Files that only their owner may read, and that nobody ever sees half of: passwords, keys, `.state/env`."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write(path: Path, text: str) -> None:
    """Readable to the owner alone from the first byte on, and in place only when it is complete."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def random_word() -> str:
    return secrets.token_urlsafe(24)


def find_or_make(path: Path, make: Callable[[], str] = random_word) -> str:
    """The secret in this file; a new one when there is no file yet."""
    if not path.exists():
        write(path, make())
    return path.read_text()


def read_json(path: Path) -> dict[str, Any]:
    """Empty when there is no such file yet."""
    found = json.loads(path.read_text()) if path.exists() else {}
    return dict(found)


def write_json(path: Path, content: dict[str, Any]) -> None:
    write(path, json.dumps(content, indent=2) + "\n")
