"""The former release's servers and the present one's serve one installation, beside each other and after a rollback."""

import sys
from pathlib import Path

import pytest

from tests.releases import FORMER, installed, other_packages, unpack
from tests.rolling_upgrade import Upgrade
from tests.servers import Receiver

JOBS = 10


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """The former release's code, which runs with the packages of this one."""
    code = tmp_path / "former"
    code.mkdir()
    if not unpack(FORMER, code):
        pytest.skip(f"git has no commit {FORMER} here: its history is not complete")
    if others := other_packages(code):
        pytest.skip(f"its packages are others ({', '.join(sorted(others))}): `python -m benchmarks.upgrades` has them")
    return code


@pytest.mark.timeout(600)
def test_no_job_is_lost_or_doubled_while_both_releases_run_and_after_a_rollback(
    former: Path, postgres_url: str, tmp_path: Path, receiver: Receiver
) -> None:
    with (
        installed(tmp_path, former, sys.executable, postgres_url) as installation,
        Upgrade(installation, receiver) as upgrade,
    ):
        try:
            upgrade.go_on(JOBS)
            found = upgrade.findings()
        finally:
            print(*upgrade.errors(), sep="\n")  # noqa: T201  shown if it fails
    assert {what: count for what, count in found.items() if count} == {}
    assert upgrade.ended == {"succeeded": JOBS, "cancelled": len(upgrade.cancelled)}
