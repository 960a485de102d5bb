"""The files of other projects are those that their manifests name, unchanged, each with its licence."""

import hashlib
import json

import pytest

from api.dashboard.static_files import FOLDER
from cli.dev.vendored import MANIFESTS
from cli.local.commands import ROOT

OF_TESTS = ("tests/deployment/kubernetes_schemas/manifest.json", "tests/monitoring/grafana_schemas/manifest.json")
OURS = sorted(path for path in FOLDER.glob("*.js"))
MAX_LINES_OF_OURS = 250


@pytest.mark.parametrize("name", [*MANIFESTS, *OF_TESTS])
def test_the_files_are_those_of_the_manifest(name: str) -> None:
    folder = (ROOT / name).parent
    packages = json.loads((ROOT / name).read_text())
    expected = {file: facts["sha256"] for each in packages.values() for file, facts in each["files"].items()}
    present = {path.name: path for path in folder.iterdir() if path.name != "manifest.json"}
    assert {file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in present.items()} == expected
    for each in packages.values():
        assert each["version"]
        assert each["licence"]
        assert any(file.endswith(".LICENSE") for file in each["files"])


def test_our_own_scripts_are_few() -> None:
    assert sum(len(path.read_text().splitlines()) for path in OURS) <= MAX_LINES_OF_OURS


def test_no_template_has_scripts_or_styles_inside() -> None:
    for path in (FOLDER.parent / "templates").rglob("*.html"):
        html = path.read_text()
        assert " style=" not in html, path
        assert "<style" not in html, path
        assert " onclick=" not in html, path
        assert html.count("<script") == html.count("<script src="), path
