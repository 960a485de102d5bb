"""pyproject.toml declares what the code imports, and docs/dependencies.md says why each package is needed."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RUN_TIME = ("alembic", "api", "worker", "shared", "cli", "sandbox", "wire_server")
OURS = {*RUN_TIME, "trainer", "tests", "benchmarks"} - {"alembic"}  # `import alembic` is the package, not our folder
# The parts of the command that run in a checkout, where the development packages are installed too.
DEVELOPMENT = [ROOT / "cli" / folder for folder in ("dev", "embedded", "local", "processes")]


ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = {
    package: (reason, instead) for package, reason, instead in ROW.findall((ROOT / "docs/dependencies.md").read_text())
}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, set[str]]:
    """The distributions that pyproject.toml names, as `run time` and `development`."""
    content: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {"run time": content["project"]["dependencies"], "development": content["dependency-groups"]["dev"]}
    return {
        group: {normalized(re.split(r"[\[<>=!~ ]", each, maxsplit=1)[0]) for each in names}
        for group, names in groups.items()
    }


def imported(path: Path) -> Iterator[str]:
    """The top-level names of the packages that a module imports, standard library and our own apart."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        yield from ({name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS)


installed = cache(packages_distributions)


@cache
def distributions() -> dict[Path, set[str]]:
    """What each module of the source imports, by the name of its distribution."""
    modules = [path for package in RUN_TIME for path in (ROOT / package).rglob("*.py")]
    return {path: {each for name in imported(path) for each in providing(name)} for path in modules}


def providing(name: str) -> set[str]:
    """The distribution with this package, or, of the many that share a namespace, those that are declared."""
    found = {normalized(each) for each in installed()[name]}
    return found & declared()["run time"] if len(found) > 1 else found


def test_what_is_imported_is_declared() -> None:
    at_run_time, in_development = declared()["run time"], declared()["development"]
    missing = {}
    for path, names in distributions().items():
        is_for_development = any(folder in path.parents for folder in DEVELOPMENT)
        allowed = at_run_time | in_development if is_for_development else at_run_time
        if names - allowed:
            missing[str(path.relative_to(ROOT))] = names - allowed
    assert missing == {}


def test_what_is_declared_for_run_time_is_imported() -> None:
    imported_somewhere = {name for names in distributions().values() for name in names}
    assert declared()["run time"] - imported_somewhere == set()


def test_each_dependency_has_a_row() -> None:
    names = declared()["run time"]
    missing = [f"add to docs/dependencies.md: | `{name}` | what it does | instead of it |" for name in names - {*ROWS}]
    assert sorted(missing) == []
    assert sorted(ROWS.keys() - names) == []  # rows to remove


def test_each_row_has_a_reason_and_a_replacement() -> None:
    assert [package for package, texts in ROWS.items() if min(map(len, texts)) < 10] == []


def test_the_rows_are_sorted() -> None:
    assert list(ROWS) == sorted(ROWS)
