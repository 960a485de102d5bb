"""Each code that a check of a dataset can report has a severity and a hint."""

import ast
from collections.abc import Iterator
from pathlib import Path

from shared.datasets.validation.findings.codes import CODES

ROOT = Path(__file__).parents[2]
CHECK = sorted((ROOT / "shared" / "datasets").rglob("*.py"))
REPORTING = {"Finding", "UnreadableLine", "problem"}


def reported(path: Path) -> Iterator[str]:
    """Codes that stand as the first argument of a call that reports one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REPORTING and node.args:
            yield from (str(each.value) for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant))


def test_each_reported_code_has_a_severity_and_a_hint() -> None:
    unknown = {
        f"add {code!r}, which {path.relative_to(ROOT)} reports, to CODES in findings/codes.py"
        for path in CHECK
        for code in reported(path)
        if code not in CODES
    }
    assert unknown == set()
