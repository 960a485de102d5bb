"""Documentation names folders, files, modules and commands that exist."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.__main__ import app
from shared.db import connections
from shared.settings import Settings
from tests.test_architecture import PACKAGES

COMMANDS: Any = get_command(app)
ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TOP = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
PLACEHOLDER = re.compile("[<>…*{]")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code(page: Path) -> list[str]:
    """What stands between backticks in a page's sentences and tables."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_file_that_a_page_names_exists(page: Path) -> None:
    named = [text for text in code(page) if re.fullmatch(r"[\w./-]+/[\w./-]*", text) and not PLACEHOLDER.search(text)]
    paths = [text for text in named if text.split("/")[0] in TOP]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    relative = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in relative if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_module_that_a_page_runs_exists(page: Path) -> None:
    modules = re.findall(r"python3? -m ([\w.]+)", page.read_text())
    assert [module for module in modules if module.split(".")[0] in TOP and find_spec(module) is None] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_command_that_a_page_shows_exists(page: Path) -> None:
    in_code = "\n".join([*code(page), *re.findall(r"^```.*?^```", page.read_text(), re.MULTILINE | re.DOTALL)])
    shown = re.findall(r"(?:\btunery|python3? -m cli)((?: [a-z][a-z-]*)+)", in_code)
    assert [words for words in shown if not is_command(words.split())] == []


def is_command(words: list[str]) -> bool:
    """Whether these words begin with the name of a command; what follows it are arguments."""
    command = COMMANDS
    for word in words:
        if not hasattr(command, "commands"):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


def test_the_architecture_has_a_line_for_each_folder_of_source() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = re.findall(r"^\| `([\w/]+)` \|", text, re.MULTILINE)
    folders = {name(path.parent) for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")}
    missing = [f"add to the rooms of docs/architecture.md: | `{folder}` | what is in it |" for folder in folders]
    assert [sentence for sentence in sorted(missing) if sentence.split("`")[1] not in rooms] == []
    assert [room for room in rooms if room not in folders] == []
    assert len(rooms) == len(set(rooms))


def test_the_index_names_each_page_of_docs() -> None:
    docs = ROOT / "docs"
    index = docs / "README.md"
    linked = {(docs / link).resolve() for link in re.findall(r"\]\(([^)#\s:]+)\)", index.read_text())}
    assert [name(page) for page in sorted(docs.rglob("*.md")) if page != index and page.resolve() not in linked] == []


def test_the_readme_can_be_read_in_two_minutes() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert [cell for line in lines if line.startswith("|") for cell in line.split("|") if len(cell) > 120] == []


def test_the_connections_to_postgres_are_those_of_the_pool() -> None:
    text = (ROOT / "docs" / "sizing.md").read_text()
    of_api = Settings.model_fields["api_connections"].default
    assert f"| api | `TUNERY_API_CONNECTIONS` ({of_api}) for each of its `WEB_CONCURRENCY` processes |" in text
    assert (
        f"| worker | {connections.OF_STEP} for each of its `WORKER_CONCURRENCY` steps, and {connections.OF_CHECKS} |"
        in text
    )
    assert f"| sender | half of its `SENDER_CONCURRENCY`, and 10: {connections.of_sender(64)} |" in text
    assert f"| beat | {connections.BEAT} |" in text
    assert f"{connections.KEPT_OPEN} stay open" in text
    assert connections.of_sender(64) - connections.of_sender(0) == 32


def test_the_tables_of_sizes_are_those_that_the_benchmark_reckons() -> None:
    printed = subprocess.check_output([sys.executable, "-m", "benchmarks.sizing"], cwd=ROOT, text=True)
    text = (ROOT / "docs" / "sizing.md").read_text()
    figures, needs = printed.rstrip().split("\n\n")
    assert figures in text
    assert needs in text
