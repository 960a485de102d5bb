"""The test suite, run the same way by a newcomer, by `make` and by CI."""

import os
import subprocess
import sys
from pathlib import Path

from cli.dev import postgres_versions
from cli.failure import Failure
from cli.local import commands

# One more than there are cores, for what only waits; each has servers of its own, so not too many.
PROCESSES = ["-n", str(min((os.cpu_count() or 1) + 1, 8)), "--dist", "worksteal"]


def run_tests(state: Path, arguments: list[str]) -> int:
    """Pytest's exit code, or that of `coverage report` if the tests pass and cover too little.

    `--postgres VERSION` and `--coverage` are ours, all other arguments are pytest's; `-n 0` runs in one process, for a
    debugger.
    """
    arguments, version = _without_postgres(arguments)
    with_coverage = "--coverage" in arguments
    arguments = [each for each in arguments if each != "--coverage"]
    environ = commands.environment(PYTHONDONTWRITEBYTECODE="")  # else each server compiles all modules anew
    if version and (programs := postgres_versions.find_or_fetch(state, version)):
        environ["TUNERY_PG_BIN"] = str(programs)
    in_parallel = [] if any(argument.startswith("-n") for argument in arguments) else PROCESSES
    plugin = ["-p", "cli.dev.coverage_plugin"] if with_coverage else []
    code = _run(environ, "-m", "pytest", *plugin, *in_parallel, *arguments)
    if with_coverage and code == 0:
        code = _run(environ, "-m", "coverage", "combine", "--quiet") or _run(environ, "-m", "coverage", "report")
    return code


def _without_postgres(arguments: list[str]) -> tuple[list[str], str | None]:
    """The arguments without `--postgres VERSION`, and the version."""
    if "--postgres" not in arguments:
        return arguments, None
    position = arguments.index("--postgres")
    if position + 1 == len(arguments):
        raise Failure("--postgres needs a version, as in `./tunery test --postgres 16`.")
    return arguments[:position] + arguments[position + 2 :], arguments[position + 1]


def _run(environ: dict[str, str], *arguments: str) -> int:
    return subprocess.run([sys.executable, *arguments], cwd=commands.ROOT, env=environ, check=False).returncode
