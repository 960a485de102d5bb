"""Asks OSV, by pip-audit, for advisories about what the locks pin."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands

LOCKS = ("requirements-dev.lock", "requirements-trainer.lock")  # the first has all that the image contains
AUDIT = ["tool", "run", "--quiet", "--from", "pip-audit==2.10.1", "pip-audit", "--vulnerability-service", "osv"]
OPTIONS = ["--format", "json", "--progress-spinner", "off", "--require-hashes", "--disable-pip"]
PATIENCE = 60.0  # seconds


class NotKnown(Failure):
    """Nobody answers who knows."""


class Found(Failure):
    """Packages with an advisory and a version that mends it."""


def look(state: Path) -> None:
    """Raises `Found`, or `NotKnown`, as without a network."""
    uv = bootstrap.find_uv(state) or bootstrap.fetch_uv(state, Path(os.devnull))
    if uv is None:
        raise NotKnown("pip-audit is run with uv, and it could not be installed here.")
    files = [option for lock in LOCKS for option in ("--requirement", str(commands.ROOT / lock))]
    try:
        done = subprocess.run(
            [uv, *AUDIT, *OPTIONS, *files],
            cwd=tempfile.gettempdir(),  # uv must not read our pyproject.toml
            env=commands.environment(UV_PYTHON_DOWNLOADS="never", **bootstrap.TRUST_OF_THE_SYSTEM),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        raise NotKnown("The locks were not compared with advisories: OSV or pip-audit cannot be reached.") from None
    judge(report)


def judge(report: Any) -> None:
    """Raises `Found` with what pip-audit's report in JSON has that can be mended."""
    found = [
        f"{package['name']} {package['version']}: {each['id']}, mended in {', '.join(each['fix_versions'])}"
        for package in report["dependencies"]
        for each in package.get("vulns", [])
        if each["fix_versions"]
    ]
    if found:
        raise Found("\n".join([*found, "SECURITY.md says what to do."]))
