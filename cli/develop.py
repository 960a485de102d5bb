"""The test suite, run the same way by a newcomer, by `make` and by CI."""

import subprocess
import sys

from cli import commands

CORES = "2"


def run_tests(arguments: list[str]) -> int:
    """Pytest's exit code. Arguments are pytest's own; `-n 0` runs in one process, for a debugger."""
    in_parallel = [] if any(argument.startswith("-n") for argument in arguments) else ["-n", CORES]
    command = [sys.executable, "-m", "pytest", *in_parallel, *arguments]
    return subprocess.run(command, cwd=commands.ROOT, env=commands.environment(), check=False).returncode
