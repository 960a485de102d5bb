"""What is only in one component: the backup's schedule and targets, and the way to a collector of traces."""

from urllib.parse import urlsplit

import pytest

from tests.deployment.kubernetes import KUBERNETES, built, container, find, gathered, templates, values_of
from tests.deployment.readers import SERVERS
from tests.deployment.test_kubernetes_build import selected


def test_only_one_backup_is_made_at_a_time_and_one_that_hangs_ends_before_the_next() -> None:
    spec = find(built("backup"), "CronJob", "backup")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    minute, hour, *rest = spec["schedule"].split()
    assert (minute.isdigit(), hour.isdigit(), rest) == (True, True, ["*", "*", "*"])
    longest = spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] + spec["startingDeadlineSeconds"]
    assert longest < 24 * 3600
    assert 0 < spec["successfulJobsHistoryLimit"] <= spec["failedJobsHistoryLimit"] <= 3


@pytest.mark.parametrize("name", ["backup", "backup-copies", "all"])
def test_a_backup_reads_what_the_api_stores_and_writes_only_its_own_claim(name: str) -> None:
    pods = templates(built(name))
    mounts = {mount["name"]: mount for mount in container(pods["backup"])["volumeMounts"]}
    assert {name for name, mount in mounts.items() if not mount.get("readOnly")} == {"backups", "tmp"}
    stored = [mount["mountPath"] for mount in container(pods["api"])["volumeMounts"] if mount["name"] == "storage"]
    assert [mount["mountPath"] for mount in mounts.values() if mount["name"] == "storage"] == stored
    assert container(pods["backup"])["args"][:2] == ["backup", mounts["backups"]["mountPath"]]
    assert values_of("backup", built(name))["TUNERY_STORAGE"] == values_of("api", built(name))["TUNERY_STORAGE"]


def test_copies_go_to_the_bucket_that_an_overlay_names() -> None:
    asked = {
        "resources": ["../../base"],
        "components": ["../../components/backup", "../../components/backup-copies"],
        "configMapGenerator": [
            {"name": "tunery-backup", "behavior": "merge", "literals": ["BACKUP_COPIES=s3://mine/tunery"]}
        ],
    }
    resources = gathered(KUBERNETES / "overlays" / "production", asked, [])
    option, variable = container(templates(resources)["backup"])["args"][-2:]
    assert option == "--copy-to"
    assert variable == "$(BACKUP_COPIES)"
    assert values_of("backup", resources)["BACKUP_COPIES"] == "s3://mine/tunery"
    args = container(templates(built("backup"))["backup"])["args"]
    assert container(templates(resources)["backup"])["args"][:-2] == args


def test_the_servers_that_send_spans_may_reach_the_collector_that_they_are_told_of() -> None:
    resources = built("traces")
    policy = find(resources, "NetworkPolicy", "traces")["spec"]
    assert selected(resources, policy["podSelector"]) == {"api", "worker", "sender"}
    [rule] = policy["egress"]
    for server in SERVERS:
        address = urlsplit(values_of(server, resources)["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert rule["ports"] == [{"protocol": "TCP", "port": address.port}]
        assert [peer["namespaceSelector"]["matchLabels"] for peer in rule["to"]] == [
            {"kubernetes.io/metadata.name": str(address.hostname).split(".")[1]}
        ]
