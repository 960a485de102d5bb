"""The profile `metrics` of docker-compose.yml: Prometheus scrapes every server, and Grafana shows the board of it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deployment.readers import COMPOSE, METRICS, OURS, REQUIRED, ROOT, SERVERS, environment_of, services
from tests.monitoring.prometheus import NEEDS_PROMETHEUS

SCRAPES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def provisioned(kind: str, file: str) -> Any:
    return yaml.safe_load((PROVISIONING / kind / file).read_text())


def mounts(name: str) -> dict[str, Path]:
    """The files of the repository that a container sees, by where."""
    split = [each.split(":") for each in services()[name]["volumes"] if each.startswith("./")]
    assert all(options == ["ro"] for _, _, *options in split)
    return {inside: ROOT / outside for outside, inside, *_ in split}


def test_the_profile_alone_starts_them_and_they_are_in_the_network_of_each_server() -> None:
    for name in METRICS:
        assert services()[name]["profiles"] == ["metrics"]
        assert services()[name]["networks"] == ["outside"]  # not in that of database and broker
    assert all("outside" in services()[server]["networks"] for server in SERVERS)


def test_prometheus_scrapes_each_server_where_it_shows_its_metrics() -> None:
    targets = {
        target for job in SCRAPES["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    }
    expected = set()
    for name in SERVERS:
        variables = environment_of(name, REQUIRED)
        port = variables["PORT"] if name == "api" else variables["TUNERY_HEALTH_ADDRESS"].rpartition(":")[2]
        expected.add(f"{name}:{port}")
    assert targets == expected


def test_prometheus_has_its_rules_and_a_key_that_no_other_service_sees() -> None:
    assert mounts("prometheus") == {"/etc/prometheus": ROOT / "deploy" / "prometheus"}
    [secret] = services()["prometheus"]["secrets"]
    [api] = [job for job in SCRAPES["scrape_configs"] if "authorization" in job]
    assert api["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    file = yaml.safe_load(COMPOSE.read_text())["secrets"][secret]["file"].removeprefix("./")
    assert file in (ROOT / ".gitignore").read_text().splitlines()
    assert f"admin:activity:read > {file}" in (ROOT / "docs" / "deploying.md").read_text()
    assert [name for name in OURS if "secrets" in services()[name]] == []


@NEEDS_PROMETHEUS
def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "deploy" / "prometheus", tmp_path / "prometheus")
    command = ["promtool", "check", "config", "--syntax-only", str(folder / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_has_the_data_source_and_the_board() -> None:
    seen = mounts("grafana")
    assert seen["/etc/grafana/provisioning"] == PROVISIONING
    [source] = provisioned("datasources", "prometheus.yml")["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    [boards] = provisioned("dashboards", "tunery.yml")["providers"]
    board = f"{boards['options']['path']}/tunery.json"
    assert json.loads(seen[board].read_text())["uid"] == "tunery"
    assert services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == board


def test_grafana_has_no_password_that_somebody_may_leave_as_it_is_and_is_only_on_this_host() -> None:
    variables = services()["grafana"]["environment"]
    assert variables["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert variables["GF_AUTH_BASIC_ENABLED"] == "false"
    assert variables["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert services()["grafana"]["ports"] == ["${GRAFANA_PUBLISH:-127.0.0.1:3000}:3000"]
    assert "ports" not in services()["prometheus"]
