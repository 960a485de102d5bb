"""deploy/kubernetes builds, alone and with each component, and its parts name each other rightly."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.kubernetes import (
    BUILDS,
    COMPONENT,
    KUBERNETES,
    Manifest,
    built,
    container,
    documented_secrets,
    find,
    kustomization,
    mounted_secrets,
    of_kind,
    overlay,
    plain,
    referenced_keys,
    templates,
)

OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
each_build = pytest.mark.parametrize("name", BUILDS)


def selected(resources: Any, selector: Manifest) -> set[str]:
    """The makers of the pods that a selector means."""
    labels = selector.get("matchLabels", {})
    conditions = selector.get("matchExpressions", [])
    assert all(condition["operator"] == "In" for condition in conditions)
    return {
        maker
        for maker, template in templates(resources).items()
        if labels.items() <= template["metadata"]["labels"].items()
        and all(template["metadata"]["labels"].get(each["key"]) in each["values"] for each in conditions)
    }


def kustomized(folder: Path) -> list[Any]:
    run = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return list(yaml.safe_load_all(run.stdout))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
@pytest.mark.parametrize("name", [*BUILDS, *OVERLAYS])
def test_kubectl_builds_what_these_tests_read(name: str, tmp_path: Path) -> None:
    if name in BUILDS:
        text = json.dumps(kustomization(name)).replace('"base"', '"../kubernetes/base"')
        shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "kustomization.yaml").write_text(
            text.replace('"components/', '"../kubernetes/components/')
        )
        assert plain(kustomized(tmp_path / "mine")) == plain(built(name))
    if name in OVERLAYS:
        assert plain(kustomized(KUBERNETES / "overlays" / name)) == plain(overlay(name))


def test_every_file_is_part_of_a_build_and_every_component_is_tried() -> None:
    for folder in {path.parent for path in KUBERNETES.rglob("kustomization.yaml")}:
        text = (folder / "kustomization.yaml").read_text()
        assert [
            file.name for file in folder.glob("*.yaml") if file.name not in text and "kustom" not in file.name
        ] == []
    assert {path.name for path in (KUBERNETES / "components").iterdir()} == set(BUILDS["all"])


@each_build
def test_no_two_resources_have_one_name(name: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in built(name)]
    assert len(names) == len(set(names))


@each_build
def test_selectors_mean_the_pods_of_their_name(name: str) -> None:
    resources = built(name)
    for deployment in of_kind(resources, "Deployment"):
        assert selected(resources, deployment["spec"]["selector"]) == {deployment["metadata"]["name"]}
    for service in of_kind(resources, "Service"):
        assert selected(resources, {"matchLabels": service["spec"]["selector"]}) == {service["metadata"]["name"]}
    for budget in of_kind(resources, "PodDisruptionBudget"):
        assert selected(resources, budget["spec"]["selector"]) == {budget["metadata"]["name"]}
    for policy in of_kind(resources, "NetworkPolicy"):
        assert selected(resources, policy["spec"]["podSelector"])
        meant = [peer["podSelector"] for rule in rules(policy) for peer in peers(rule) if "podSelector" in peer]
        assert all(selected(resources, selector) for selector in meant)


def rules(policy: Manifest) -> list[Manifest]:
    return [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]


def peers(rule: Manifest) -> list[Manifest]:
    return [*rule.get("from", []), *rule.get("to", [])]


@each_build
def test_ports_are_those_of_the_pods(name: str) -> None:
    resources, pods = built(name), templates(built(name))
    ports = {maker: {port["name"] for port in container(pod).get("ports", [])} for maker, pod in pods.items()}
    for maker, pod in pods.items():
        probes = [container(pod)[key] for key in ("startupProbe", "livenessProbe", "readinessProbe") if ports[maker]]
        assert all({(probe.get("httpGet") or probe["tcpSocket"])["port"]} <= ports[maker] for probe in probes)
    for service in of_kind(resources, "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[service["metadata"]["name"]]
    for policy in of_kind(resources, "NetworkPolicy"):
        named = {port["port"] for rule in rules(policy) for port in rule.get("ports", [])} - set(range(65536))
        has = [*selected(resources, policy["spec"]["podSelector"])]
        for peer in (peer for rule in policy["spec"].get("egress", []) for peer in rule.get("to", [])):
            has = [*selected(resources, peer["podSelector"])] if "podSelector" in peer and named else has
        assert all(named <= ports[maker] for maker in has)


@each_build
def test_volumes_are_mounted_and_claims_and_accounts_exist(name: str) -> None:
    resources, used = built(name), set()
    for template in templates(resources).values():
        spec = template["spec"]
        mounts = {mount["name"] for mount in container(template)["volumeMounts"]}
        assert mounts == {volume["name"] for volume in spec["volumes"]}
        used |= {volume.get("persistentVolumeClaim", {}).get("claimName") for volume in spec["volumes"]}
        if "serviceAccountName" in spec:
            assert find(resources, "ServiceAccount", spec["serviceAccountName"])
    assert used - {None} == {claim["metadata"]["name"] for claim in of_kind(resources, "PersistentVolumeClaim")}


@each_build
def test_every_secret_is_one_that_the_page_has_the_operator_make(name: str) -> None:
    assert of_kind(built(name), "Secret") == []
    for template in templates(built(name)).values():
        assert set(mounted_secrets(template)) <= set(documented_secrets())
        assert [key for secret, key in referenced_keys(template) if key not in documented_secrets()[secret]] == []


@each_build
def test_each_server_has_either_a_number_or_one_scaler(name: str) -> None:
    scalers = of_kind(built(name), "HorizontalPodAutoscaler", "ScaledObject")
    scaled = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    fixed = [each["metadata"]["name"] for each in of_kind(built(name), "Deployment") if "replicas" in each["spec"]]
    assert sorted(scaled + fixed) == sorted(each["metadata"]["name"] for each in of_kind(built(name), "Deployment"))


def test_keda_asks_for_metrics_that_exist() -> None:
    known = (KUBERNETES.parents[1] / "docs" / "reference" / "metrics.md").read_text()
    for scaler in of_kind(built("keda"), "ScaledObject"):
        [trigger] = scaler["spec"]["triggers"]
        [metric] = re.findall(r"tunery_\w+", trigger["metadata"]["query"])
        assert f"`{metric}`" in known


def test_each_maker_of_pods_says_which_component_it_is() -> None:
    for maker, template in templates(built("all")).items():
        assert template["metadata"]["labels"][COMPONENT] == maker.split("-")[0]
