"""docs/reference/endpoints.md has a row for each endpoint of the OpenAPI document, and no other."""

import re
from pathlib import Path
from typing import Any

from tests.api.test_health import ask

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "endpoints.md").read_text()


def row(method: str, path: str, operation: dict[str, Any]) -> str:
    """The row of an endpoint: its method, its path, and the first sentence of its docstring."""
    sentence = re.split(r"[.;:](?= |$)", " ".join(operation["description"].split()))[0]
    return f"| {method.upper()} | `{path}` | {sentence} |"


def test_each_endpoint_has_a_row(server: str) -> None:
    paths = ask(server, "/openapi.json").json["paths"]
    rows = {(m.upper(), path): row(m, path, operation) for path, each in paths.items() for m, operation in each.items()}
    written = re.findall(r"^\| ([A-Z]+) \| `(/\S+)` \| \S", PAGE, re.MULTILINE)
    missing = [f"add to docs/reference/endpoints.md: {text}" for key, text in rows.items() if key not in written]
    assert missing == []
    assert [key for key in written if key not in rows] == []
    assert len(written) == len(rows)
