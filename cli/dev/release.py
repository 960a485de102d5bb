"""What a release shows of its version: pyproject.toml says it, changelog and image repeat it."""

import re

from cli.local import commands
from shared.version import VERSION

LABEL = 'org.opencontainers.image.version="$VERSION"'


def complaint() -> str | None:
    """What is wrong in this checkout, if anything."""
    changelog, dockerfile = (commands.ROOT / "CHANGELOG.md").read_text(), (commands.ROOT / "Dockerfile").read_text()
    return complaint_about(VERSION, changelog, dockerfile)


def complaint_about(version: str, changelog: str, dockerfile: str) -> str | None:
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return f"pyproject.toml: the version is {version}, and must be three numbers such as 1.2.3."
    if headings[:1] != ["Unreleased"]:
        return "CHANGELOG.md: the first section must be [Unreleased]."
    if headings[1:] and headings[1] != version:  # before the first release there is no other section
        return f"CHANGELOG.md: the newest release is {headings[1]}, and the version in pyproject.toml is {version}."
    if LABEL not in dockerfile:
        return f"Dockerfile: the image must have the label {LABEL}."
    return None
