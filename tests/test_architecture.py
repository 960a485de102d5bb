"""Rules about the code's shape: who imports whom, lengths of files and functions, names, commits, type ignores."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "cli", "sandbox", "shared", "trainer", "wire_server", "worker")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 250, 40
SCRIPT_LINES = 250  # of all scripts of the dashboard together
TYPE_IGNORES, TYPE_IGNORES_IN_TESTS = 3, 8
VAGUE = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
ASSETS = {".css", ".html", ".js", ".svg", ".jinja", ".j2"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_pages_need_few_scripts() -> None:
    scripts = list((ROOT / "api" / "dashboard" / "static").glob("*.js"))
    assert scripts
    assert sum(len(each.read_text().splitlines()) for each in scripts) <= SCRIPT_LINES


def test_the_modules_are_found() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)
    assert len(MODULES) > 80


def test_every_import_contract_is_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout[-3000:]
    kept = re.search(r"Contracts: (\d+) kept, 0 broken", process.stdout)
    assert kept
    assert int(kept[1]) >= 9


def test_migrations_do_not_shadow_the_package_alembic() -> None:
    assert (ROOT / "alembic" / "env.py").exists()
    assert list((ROOT / "alembic").rglob("__init__.py")) == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_can_be_read_at_once(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES
    long = [f"{each.name}: {_lines(each)}" for each in functions(path) if _lines(each) > FUNCTION_LINES]
    assert long == []


def test_a_test_file_can_be_read_at_once() -> None:
    too_long = {name(path) for path in TEST_FILES if len(path.read_text().splitlines()) > FILE_LINES}
    assert too_long == set()


def test_types_are_given_and_hardly_ever_ignored() -> None:
    assert len(list(_type_ignores([*MODULES, *(ROOT / "benchmarks").rglob("*.py")]))) <= TYPE_IGNORES
    assert len(list(_type_ignores(TEST_FILES))) <= TYPE_IGNORES_IN_TESTS


def _type_ignores(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(r"#\s*type:\s*ignore", line):
                yield f"{name(path)}:{number}"


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno
    return function.end_lineno - function.lineno + 1


@pytest.mark.parametrize("path", [path for path in MODULES if path.read_text().strip()], ids=name)
def test_a_module_opens_with_a_sentence_that_says_why_it_exists(path: Path) -> None:
    sentence = ast.get_docstring(ast.parse(path.read_text()))
    assert sentence
    assert re.search(r"[.!?:]$", sentence.splitlines()[0]), sentence


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_named_after_what_it_does(path: Path) -> None:
    words = name(path).removesuffix(".py").replace("base_model", "")  # the field's own term: what may be trained
    assert VAGUE.isdisjoint(re.split(r"[_/]", words))


def test_nothing_is_loaded_from_another_host() -> None:
    assets = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in ASSETS]
    loads = re.compile(r"""(?:src|href|url|import)\s*[=(:]?\s*["']?(?:https?:)?//""")
    assert [name(path) for path in [*assets, *MODULES] if loads.search(path.read_text())] == []


def test_the_only_commit_is_in_transaction() -> None:
    commits = re.compile(r"\.commit\(")
    assert [name(path) for path in MODULES if commits.search(path.read_text())] == []


def test_no_request_and_no_step_sleeps() -> None:
    listening = [path for path in MODULES if path.relative_to(ROOT).parts[0] in {"api", "shared"}]
    holds_a_thread = r"(?<!\banyio\.)\bsleep\("
    assert [name(path) for path in listening if re.search(holds_a_thread, path.read_text())] == []
