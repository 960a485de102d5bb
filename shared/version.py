"""Tunery's version, read from pyproject.toml, the only place where it is written."""

import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"  # the image has it too
VERSION: str = tomllib.loads(_PYPROJECT.read_text())["project"]["version"]
