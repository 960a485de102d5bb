"""Prometheus's programs, which the tests of alerts need."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
NEEDS_PROMETHEUS = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="needs prometheus and promtool, as Debian's package prometheus has them",
)
