"""A Python of its own with an environment of its own: settings are read once in each process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = {
    "DATABASE_URL": "postgresql://user:password@nowhere/tunery",
    "REDIS_URL": "redis://nowhere/0",
    "TUNERY_SECRET_KEYS": '["7mHzuRXCAr8AFnIO0h2pUMVsXDdLkcOTBFFSKRWQZ_o="]',
    "TUNERY_PROVIDER__BASE_URL": "https://provider.example/v1/",
    "TUNERY_PROVIDER__API_KEY": "sk-of-the-provider",
    "TUNERY_STORAGE": "/nowhere",
}


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What this code prints, with the settings that have no default, and these."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TUNERY", "OPENAI"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**known, **NEEDED, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
