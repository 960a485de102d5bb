"""The version is written in pyproject.toml and nowhere else, and everything that shows a version shows that one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.webhooks import forward
from shared.version import VERSION
from tests.test_architecture import MODULES, ROOT
from worker.webhooks import deliver

OTHERS = [
    ROOT / name for name in ("Dockerfile", "docker-compose.yml", "Makefile", "README.md", ".env.example", "tunery")
]


def test_it_is_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


@pytest.mark.parametrize("path", [*MODULES, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_file_repeats_it(path: Path) -> None:
    assert not re.search(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])", path.read_text())


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "cli", "--version"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout == f"{VERSION}\n"


def test_webhooks_carry_it() -> None:
    assert f"Tunery/{VERSION} (webhooks)" == deliver.USER_AGENT
    assert forward.PLAIN["user-agent"].startswith(f"Tunery/{VERSION} ")


def test_the_changelog_has_a_section_for_it_or_for_what_will_be_it() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [VERSION])
