"""What pods in Kubernetes may do, have and reach: no more than in docker-compose.yml, and no more than they need."""

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from cli.local import commands
from shared.settings import Settings
from tests.deployment.kubernetes import (
    BUILDS,
    KUBERNETES,
    PAGE,
    Manifest,
    built,
    container,
    documented_secrets,
    find,
    gathered,
    mounted_secrets,
    of_kind,
    overlay,
    referenced_keys,
    templates,
    values_of,
)
from tests.deployment.readers import SERVERS, final_instruction, services, stop_grace_seconds
from tests.deployment.test_compose_environment import NAMES, USERS_OF_SECRETS
from tests.deployment.test_kubernetes_build import OVERLAYS, selected
from trainer.server.settings import Settings as TrainerSettings

each_build = pytest.mark.parametrize("name", BUILDS)
PODS = ("migrate", *SERVERS)
JOBS = ("migrate", "backup")
PRIVATE = (
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "fd00::1",
)


@each_build
def test_a_pod_is_confined(name: str) -> None:
    user, _, group = final_instruction("USER").partition(":")
    for template in templates(built(name)).values():
        spec, only = template["spec"], container(template)
        assert (
            spec["securityContext"].items()
            >= {
                "runAsNonRoot": True,
                "runAsUser": int(user),
                "runAsGroup": int(group),
                "seccompProfile": {"type": "RuntimeDefault"},
            }.items()
        )
        assert only["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert "/tmp" in {mount["mountPath"] for mount in only["volumeMounts"]}
        assert spec.keys().isdisjoint({"hostNetwork", "hostPID", "hostIPC"})
        assert all("hostPath" not in volume for volume in spec["volumes"])
    assert find(built(name), "Namespace", "tunery")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


@pytest.mark.parametrize("server", [*SERVERS, *JOBS, "trainer"])
def test_limits_and_time_to_stop_are_those_of_compose(server: str) -> None:
    template = templates(built("all"))[server]
    resources = container(template)["resources"]
    assert resources["limits"]["memory"] == re.sub(
        "(.)$", lambda unit: unit[0].upper() + "i", services()[server]["mem_limit"]
    )
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert "cpu" not in resources["limits"]  # it would slow a server down while its node is idle
    if server not in JOBS:
        drain = int(values_of("api", built("base"))["TUNERY_DRAIN_TIME"]) if server == "api" else 0
        assert template["spec"]["terminationGracePeriodSeconds"] == stop_grace_seconds(server) + drain
        assert template["spec"]["terminationGracePeriodSeconds"] > commands.GRACE + drain


@pytest.mark.parametrize("name", [*BUILDS, *(f"overlays/{overlay}" for overlay in OVERLAYS)])
def test_every_variable_is_a_setting(name: str) -> None:
    resources: Any = built(name) if name in BUILDS else overlay(name.removeprefix("overlays/"))
    of_trainer = {f"TRAINER_{field.upper()}" for field in TrainerSettings.__dataclass_fields__}
    settings = {variable for each in of_kind(resources, "ConfigMap") for variable in each["data"]}
    assert settings - {"BACKUP_COPIES"} <= set(NAMES)  # which is a word of a command line
    for maker, template in templates(resources).items():
        variables = {each["name"] for each in container(template).get("env", [])}
        assert variables <= (of_trainer if maker == "trainer" else set(NAMES))


def test_the_documented_secrets_have_settings_for_keys() -> None:
    keys = [key for name, keys in documented_secrets().items() if name.startswith("tunery") for key in keys]
    assert set(keys) - {"auth_token"} <= set(NAMES)
    assert len(keys) == len(set(keys))
    assert {"tunery", "tunery-owner", "tunery-provider"} <= documented_secrets().keys()


def test_a_secret_reaches_only_the_servers_that_use_it() -> None:
    reached: dict[str, set[str]] = {}
    pods = {*PODS, "backup"}
    for server in pods:
        template = templates(built("all"))[server]
        keys = {key for secret in mounted_secrets(template) for key in documented_secrets()[secret]}
        for key in keys | {key for _, key in referenced_keys(template)}:
            reached.setdefault(key, set()).add(server)
    for name in ("DATABASE_URL", "REDIS_URL", "TUNERY_SECRET_KEYS"):
        assert reached.pop(name) == pods
    assert reached.pop("AWS_ACCESS_KEY_ID") == reached["AWS_SECRET_ACCESS_KEY"]
    assert reached == {name: USERS_OF_SECRETS[name] & pods for name in reached}
    assert len(reached) == 4


def test_only_those_secrets_may_be_missing_that_not_everybody_needs() -> None:
    pods = templates(built("bucket")).values()
    optional = {name for pod in pods for name, may_be_missing in mounted_secrets(pod).items() if may_be_missing}
    assert optional == {"tunery-mail"}


@each_build
def test_no_value_of_a_secret_is_in_a_manifest(name: str) -> None:
    secret = {key for keys in documented_secrets().values() for key in keys}
    for server in PODS:
        values = values_of(server, built(name))
        assert {values[key] for key in secret & values.keys()} <= {"withheld"}


def egress(resources: Any, maker: str) -> list[Manifest]:
    policies = of_kind(resources, "NetworkPolicy")
    meant = [each["spec"] for each in policies if maker in selected(resources, each["spec"]["podSelector"])]
    assert any("Egress" in spec["policyTypes"] and not spec.get("egress") for spec in meant)  # that is a refusal
    return [rule for spec in meant for rule in spec.get("egress", [])]


def ports_of(rule: Manifest) -> set[int]:
    return {port["port"] for port in rule["ports"]}


@each_build
def test_all_is_denied_but_what_a_policy_names(name: str) -> None:
    deny = find(built(name), "NetworkPolicy", "deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert selected(built(name), deny["podSelector"]) == set(templates(built(name)))


@each_build
def test_only_those_reach_public_addresses_that_must_and_none_a_private_one(name: str) -> None:
    webhooks, sentry = set(Settings.model_fields["webhook_ports"].default), {443}
    outside: dict[str, list[Manifest]] = {}
    for maker in templates(built(name)):
        rules = [rule for rule in egress(built(name), maker) if any("ipBlock" in peer for peer in rule.get("to", []))]
        outside |= {maker: rules} if rules else {}
    expected = dict.fromkeys(("api", "worker", "sender"), webhooks)
    expected |= {"beat": sentry} if "sentry" in BUILDS[name] else {}
    assert {maker: set().union(*map(ports_of, rules)) for maker, rules in outside.items()} == expected
    for rule in (rule for rules in outside.values() for rule in rules):
        blocks = [peer["ipBlock"] for peer in rule["to"]]
        assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
        excepted = [ip_network(network) for block in blocks for network in block["except"]]
        for address in map(ip_address, PRIVATE):
            assert any(address in network for network in excepted)


def test_a_collector_of_traces_is_reached_by_those_who_make_some() -> None:
    assert {
        maker
        for maker in templates(built("traces"))
        for rule in egress(built("traces"), maker)
        if ports_of(rule) == {4318}
    } == {"api", "worker", "sender"}


@each_build
def test_to_any_address_only_these_ports_are_open(name: str) -> None:
    servers = {5432, 6379}
    expected = dict.fromkeys(PODS, servers) | {"sender": servers | {465, 587}}
    expected["beat"] = servers | ({443} if "bucket" in BUILDS[name] else set())
    expected["backup"] = servers | ({443} if {"bucket", "backup-copies"} & {*BUILDS[name]} else set())
    for maker in templates(built(name)):
        anywhere = [ports_of(rule) for rule in egress(built(name), maker) if "to" not in rule]
        assert set().union(*anywhere) == expected.get(maker, set())


def test_the_kustomization_on_the_page_builds() -> None:
    [text] = re.findall(r"^```yaml\n(apiVersion: kustomize.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    asked = yaml.safe_load(text)
    assert [image["name"] for image in asked.pop("images")] == [container(templates(built("base"))["api"])["image"]]
    resources = gathered(KUBERNETES / "overlays" / "production", asked, [])
    assert values_of("api", resources)["TUNERY_STORAGE"].startswith("s3://")
