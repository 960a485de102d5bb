"""Everything that CI checks besides the tests, two checks at a time."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.dev import advisories, locks, migrations, release
from cli.failure import Failure
from cli.local import commands

SOURCES = [".", "tunery"]  # the latter's name does not say that it is Python


def run(state: Path) -> int:
    """The exit code. Results are told in this order, each as soon as it and those before it are known."""
    checks: dict[str, Callable[[], str | None]] = {
        "types": lambda: _complaint_of(_tool("mypy")),
        "style": lambda: _complaint_of(_tool("ruff", "check", *SOURCES)),
        "format": lambda: _complaint_of(_tool("ruff", "format", "--check", *SOURCES)),
        "imports": lambda: _complaint_of(_tool("lint-imports")),
        "locks": lambda: _complaint_about_locks(state),
        "migrations": _complaint_about_migrations,
        "release": release.complaint,
        "advisories": lambda: advisories.look(state),
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        running = {name: pool.submit(_told, check) for name, check in checks.items()}
        return max(_report(name, *result.result()) for name, result in running.items())


def _told(check: Callable[[], str | None]) -> tuple[str, str | None]:
    try:
        complaint = check()
    except advisories.NotKnown as reason:
        return "UNKNOWN", str(reason)
    except advisories.Found as advice:
        return "WARNING", str(advice)  # a release waits for it, not each change
    except Failure as failure:
        complaint = str(failure)
    return "ok" if complaint is None else "NOT OK", complaint


def _report(name: str, outcome: str, text: str | None) -> int:
    print(f"{outcome:7} {name}" + (f"\n{text}" if text else ""), flush=True)
    return int(outcome == "NOT OK")


def _tool(name: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(name)), *arguments]


def _complaint_of(command: list[str]) -> str | None:
    done = subprocess.run(
        command,
        cwd=commands.ROOT,
        env=commands.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return (done.stdout.strip() or f"exit code {done.returncode}") if done.returncode else None


def _complaint_about_locks(state: Path) -> str | None:
    """Without a network it cannot be known; that is a reason to complain in CI only."""
    try:
        return locks.complaint(state)
    except locks.NoIndex as reason:
        return str(reason) if os.environ.get("CI") else None


def _complaint_about_migrations() -> str | None:
    migrations.check()
    return None
