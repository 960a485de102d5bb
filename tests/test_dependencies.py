"""docs/dependencies.md gives a reason and a replacement for each run-time dependency in pyproject.toml."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = {
    package: (reason, instead) for package, reason, instead in ROW.findall((ROOT / "docs/dependencies.md").read_text())
}


def test_each_dependency_has_a_row() -> None:
    declared = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in REQUIREMENTS}
    missing = [
        f"add to docs/dependencies.md: | `{name}` | what it does | instead of it |" for name in declared - {*ROWS}
    ]
    assert sorted(missing) == []
    assert sorted(ROWS.keys() - declared) == []  # rows to remove


def test_each_row_has_a_reason_and_a_replacement() -> None:
    assert [package for package, texts in ROWS.items() if min(map(len, texts)) < 10] == []


def test_the_rows_are_sorted() -> None:
    assert list(ROWS) == sorted(ROWS)
