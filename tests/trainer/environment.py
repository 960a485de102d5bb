"""The trainer's environment, in which what needs torch runs as a process; tests that need it skip without it."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STATE = ROOT / ".state" / "trainer"


def python() -> str:
    folder = Path(os.environ.get("TUNERY_TRAINER_ENV") or STATE / "env")
    program = folder / "bin" / "python"
    if not program.exists():
        pytest.skip(
            "The trainer's environment is not set up: `./tunery trainer setup`, or name it in TUNERY_TRAINER_ENV"
        )
    return str(program)


def tiny_base() -> Path:
    """The folder of `tiny_base.py`'s model; made once for a state of that file."""
    source = Path(__file__).with_name("tiny_base.py")
    folder = STATE / f"tiny-base-{source.stat().st_mtime_ns}"
    if not folder.exists():
        STATE.mkdir(parents=True, exist_ok=True)
        made = Path(f"{folder}.{os.getpid()}")
        subprocess.run([python(), str(source), str(made)], check=True, cwd=ROOT, capture_output=True)
        try:
            made.rename(folder)
        except OSError:  # another worker was faster
            assert folder.exists()
    return folder
