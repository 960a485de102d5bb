"""The test suite, run the same way by a newcomer, by `make` and by CI."""

import os
import subprocess
import sys

from cli.local import commands

# One more than there are cores, for what only waits; each has servers of its own, so not too many.
PROCESSES = ["-n", str(min((os.cpu_count() or 1) + 1, 8)), "--dist", "worksteal"]


def run_tests(arguments: list[str]) -> int:
    """Pytest's exit code. Arguments are pytest's own; `-n 0` runs in one process, for a debugger."""
    in_parallel = [] if any(argument.startswith("-n") for argument in arguments) else PROCESSES
    command = [sys.executable, "-m", "pytest", *in_parallel, *arguments]
    return subprocess.run(command, cwd=commands.ROOT, env=commands.environment(), check=False).returncode
