"""The pods' commands run as processes, with the variables and the files of secrets that the manifests give them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from cli.processes import ports
from cli.processes.child import Child, Program
from tests.deployment.kubernetes import built, container, documented_secrets, mounted_secrets, templates, values_of
from tests.deployment.readers import KEY, SERVERS, final_instruction, variables_of, words_of
from tests.deployment.test_servers import (
    ENDED_WELL,
    Host,
    database_url,
    host,
    with_this_python,
)

__all__ = ["database_url", "host"]  # fixtures
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@dataclass
class Cluster:
    """Runs pods on this machine: the image's files, and for each pod a folder of secrets and a port of its own."""

    host: Host
    secrets: dict[str, str]
    ports: dict[str, int]
    folder: Path
    children: dict[str, Child] = field(default_factory=dict)

    def pod(self, name: str) -> dict[str, Any]:
        return templates(built("backup"))[name]

    def environment(self, name: str) -> dict[str, str]:
        """The image's variables and the pod's; addresses and paths are those of this machine."""
        variables = variables_of("ENV") | values_of(name, built("backup"))
        here = {
            "HOST": "127.0.0.1",
            "PORT": str(self.ports["api"]),
            "TUNERY_STORAGE": self.host.overrides["TUNERY_STORAGE"],
            "TUNERY_HEALTH_ADDRESS": f"127.0.0.1:{self.ports.get(name, 0)}",
            "TUNERY_SECRETS_DIR": str(self.mounted(name)),
        }
        assert here.keys() <= variables.keys()
        return variables | here | {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.host.folder)}

    def mounted(self, name: str) -> Path:
        """The folder with the files of the pod's secrets, laid out as the kubelet does: links through `..data`."""
        folder = self.folder / name
        if not folder.exists():
            (folder / "..2026_11_30").mkdir(parents=True)
            (folder / "..data").symlink_to("..2026_11_30")
            for key in (key for secret in mounted_secrets(self.pod(name)) for key in documented_secrets()[secret]):
                (folder / "..data" / key).write_text(self.secrets[key])
                (folder / key).symlink_to(f"..data/{key}")
        return folder

    def start(self, name: str) -> Child:
        args = [word.replace("/backups", str(self.folder / "backups")) for word in container(self.pod(name))["args"]]
        words = words_of(final_instruction("ENTRYPOINT")) + args
        log = self.folder / f"{name}.log"
        program = Program(name, with_this_python(words), log, self.environment(name), self.host.folder)
        self.children[name] = child = program.start()
        self.host.children.append(child)
        return child

    def answers(self, name: str, probe: str) -> bool:
        """Whether this probe of the pod succeeds, at the port that it names."""
        asked = container(self.pod(name))[probe]["httpGet"]
        [port] = [each["containerPort"] for each in container(self.pod(name))["ports"] if each["name"] == asked["port"]]
        assert str(port) in (variables_of("ENV")["PORT"], values_of(name, built("base"))["TUNERY_HEALTH_ADDRESS"][-4:])
        connection = HTTPConnection("127.0.0.1", self.ports[name], timeout=60)
        try:
            connection.request("GET", asked["path"])
            return 200 <= connection.getresponse().status < 400
        except ConnectionError:
            return False
        finally:
            connection.close()


@pytest.fixture
def cluster(host: Host, tmp_path: Path) -> Iterator[Cluster]:
    secrets = {
        "DATABASE_URL": host.overrides["DATABASE_URL"],
        "TUNERY_MIGRATION_DATABASE_URL": host.overrides["TUNERY_MIGRATION_DATABASE_URL"],
        "REDIS_URL": host.overrides["REDIS_URL"],
        "TUNERY_SECRET_KEYS": f'["{KEY}"]',
        "TUNERY_PROVIDER__API_KEY": "sk-1",
        "TUNERY_SMTP__PASSWORD": "pw",
    }
    with ports.held() as worker, ports.held() as sender, ports.held() as beat:
        listening = {"api": int(host.overrides["PORT"]), "worker": worker, "sender": sender, "beat": beat}
        yield Cluster(host, secrets, listening, tmp_path / "pods")


def test_every_pod_becomes_ready_by_its_own_probes_and_stops_in_time(cluster: Cluster) -> None:
    for name in SERVERS:  # together with the migration, as `kubectl apply` starts them
        cluster.start(name)
    cluster.children["api"].wait_until(lambda: cluster.answers("api", "livenessProbe"))
    assert not cluster.answers("api", "readinessProbe")
    assert "revision" in cluster.host.finish(cluster.start("migrate"))
    for name in SERVERS:
        for probe in PROBES:
            cluster.children[name].wait_until(partial(cluster.answers, name, probe))
    for name in SERVERS:
        cluster.children[name].process.terminate()
    for name in SERVERS:
        patience = cluster.pod(name)["spec"]["terminationGracePeriodSeconds"]
        assert cluster.children[name].process.wait(patience) in ENDED_WELL, cluster.children[name].last_words()


def test_the_pod_of_a_backup_makes_one_in_its_claim(cluster: Cluster) -> None:
    cluster.host.finish(cluster.start("migrate"))
    said = cluster.host.finish(cluster.start("backup"))
    [backup] = (cluster.folder / "backups").iterdir()
    assert said.startswith(f"{backup}: revision ")
    assert (backup / "manifest.json").exists()
