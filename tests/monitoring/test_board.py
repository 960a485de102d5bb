"""The board of deploy/grafana has the fields that Grafana knows, and asks what Prometheus understands.

The schemas beside this file are Grafana's own, unchanged, as their manifest names them. `test_alerts.py` shows that
each panel has something to show of real servers.
"""

import copy
import json
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from tests.monitoring.board import BOARD, EXPRESSIONS
from tests.monitoring.prometheus import NEEDS_PROMETHEUS

SCHEMAS = Path(__file__).parent / "grafana_schemas"
COLUMNS = 24


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads((SCHEMAS / f"{name}.jsonschema.json").read_text()))


def complaints(board: dict[str, Any]) -> list[str]:
    questions = [target for panel in board["panels"] for target in panel["targets"]]
    errors = [
        *validator("dashboard").iter_errors(board),
        *(error for each in questions for error in validator("prometheus").iter_errors(each)),
    ]
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


def test_the_board_has_the_schema_of_grafana() -> None:
    assert complaints(BOARD) == []


def test_a_wrong_board_is_refused() -> None:
    changes: list[dict[str, Any]] = [
        {"gridPosition": {}},
        {"targets": [{"expression": "up"}]},
        {"fieldConfig": {"defaults": []}},
    ]
    for change in changes:
        wrong = copy.deepcopy(BOARD)
        wrong["panels"][0] |= change
        assert complaints(wrong), change


def test_panels_lie_beside_each_other() -> None:
    taken = Counter(
        (column, row)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    )
    assert set(taken.values()) == {1}
    assert max(column for column, _ in taken) < COLUMNS
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len({*ids}) == len(ids)


@NEEDS_PROMETHEUS
def test_prometheus_understands_what_the_panels_ask(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(EXPRESSIONS.values())]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))  # JSON is YAML
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, len(EXPRESSIONS) >= len(BOARD["panels"])) == (0, True), done.stdout + done.stderr
