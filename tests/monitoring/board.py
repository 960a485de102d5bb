"""The board of deploy/grafana: what its panels ask of Prometheus."""

import json
from typing import Any

from tests.monitoring.prometheus import ROOT

BOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "tunery.json").read_text())
EXPRESSIONS: dict[str, str] = {
    f"{panel['title']} ({target['refId']})": target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
}
