"""What `./tunery lint` says of a release: version, changelog, the image's label, and advisories about the locks."""

from pathlib import Path
from typing import Any

import pytest

from cli.dev import advisories, release
from cli.local.commands import ROOT

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-12-01\n\n## [1.2.2] - 2026-11-01\n"
DOCKERFILE = f"FROM python\nLABEL {release.LABEL}\n"


def test_a_release_is_in_order() -> None:
    assert release.complaint() is None
    assert release.complaint_about("1.2.3", CHANGELOG, DOCKERFILE) is None
    assert release.complaint_about("0.1.0", "## [Unreleased]\n", DOCKERFILE) is None


@pytest.mark.parametrize(
    ("version", "changelog", "dockerfile", "sentence"),
    [
        ("1.2", CHANGELOG, DOCKERFILE, "three numbers"),
        ("1.2.4", CHANGELOG, DOCKERFILE, "newest release is 1.2.3, and the version in pyproject.toml is 1.2.4"),
        ("1.2.3", CHANGELOG.replace("## [Unreleased]\n", ""), DOCKERFILE, "first section must be [Unreleased]"),
        ("1.2.3", CHANGELOG, "FROM python\n", "must have the label"),
    ],
)
def test_what_is_missing_is_said(version: str, changelog: str, dockerfile: str, sentence: str) -> None:
    assert sentence in str(release.complaint_about(version, changelog, dockerfile))


def reported(*fixes: str) -> Any:
    """A report as pip-audit writes it."""
    advisory = {"id": "GHSA-1", "fix_versions": list(fixes), "aliases": ["CVE-1"], "description": "It is bad."}
    packages = [{"name": "a", "version": "1.0", "vulns": [advisory]}, {"name": "b", "version": "2.0", "vulns": []}]
    return {"dependencies": [*packages, {"name": "c", "skip_reason": "not found"}], "fixes": []}


def test_an_advisory_that_can_be_mended_is_found() -> None:
    with pytest.raises(advisories.Found, match=r"^a 1\.0: GHSA-1, mended in 1\.1, 2\.0\n"):
        advisories.judge(reported("1.1", "2.0"))
    advisories.judge(reported())


def test_without_a_network_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    with pytest.raises(advisories.NotKnown, match="were not compared with advisories"):
        advisories.look(ROOT / ".state")
