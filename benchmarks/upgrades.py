"""Counts what fails while an installation is upgraded under way, and then rolled back, from a commit's own code.

`python -m benchmarks.upgrades [--from COMMIT] [--jobs 100]`

The former release runs from its own lock in an environment of its own. Its servers have jobs under way when the present
release migrates; then api, worker, sender and beat of both serve one installation, and jobs are created, read and
cancelled through both apis; then those of the present release stop, and the former one goes on with the newer schema.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.stack import print_table
from cli.dev import bootstrap
from cli.embedded import temporary
from cli.failure import Failure
from tests.releases import FORMER, LOCK, installed, unpack
from tests.rolling_upgrade import Upgrade
from tests.servers import Receiver


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="revision", default=FORMER, help="the commit that is upgraded")
    parser.add_argument("--jobs", type=int, default=100)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        rows = _measure(folder, wanted.revision, wanted.jobs)
    print_table(rows)
    sys.exit(any(target != measured for _, target, measured in rows if target != "-"))


def _measure(folder: Path, revision: str, jobs: int) -> list[tuple[str, str, str]]:
    code = folder / "former"
    code.mkdir()
    if not unpack(revision, code):
        raise Failure(f"git has no commit {revision} here.")
    python = _environment(code, folder)
    started = time.monotonic()
    with temporary.postgres() as postgres_url, Receiver.listening() as receiver:
        with installed(folder, code, python, postgres_url) as installation, Upgrade(installation, receiver) as upgrade:
            upgrade.go_on(jobs)
            found = upgrade.findings()
        for release in (installation.former, installation.present):
            for line in release.log("warning", "error", "critical"):
                print(release.name, line, file=sys.stderr)
    return [
        (f"upgraded from {revision}, and back", "-", f"{time.monotonic() - started:.0f} s"),
        ("migrate, while jobs are created", "-", f"{upgrade.migrated_in:.1f} s"),
        ("jobs that succeeded", str(jobs), str(upgrade.ended["succeeded"])),
        ("more jobs that were cancelled", str(len(upgrade.cancelled)), str(upgrade.ended["cancelled"])),
        ("webhooks received", "-", str(len(receiver.received))),
        *((what, "0", str(count)) for what, count in found.items()),
    ]


def _environment(code: Path, folder: Path) -> str:
    """The Python of an environment with the packages of its lock."""
    log, venv = folder / "install.log", folder / "venv"
    state = bootstrap.ROOT / ".state"
    uv = bootstrap.find_uv(state) or bootstrap.fetch_uv(state, log)
    python = venv / "bin" / "python"
    sync = ("--directory", str(folder), "pip", "sync", "--require-hashes", "--python", str(python), str(code / LOCK))
    done = (
        uv is not None
        and bootstrap.run(log, uv, "venv", "--python", sys.executable, str(venv))
        and bootstrap.run(log, uv, *sync)
    )
    if not done:
        raise Failure(f"The packages of {code / LOCK} could not be installed: {log.read_text()[-2000:]}")
    return str(python)


if __name__ == "__main__":
    main()
