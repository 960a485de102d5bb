"""Builds deploy/kubernetes as `kubectl kustomize` does, as far as it uses kustomize, so that tests need no program."""

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deployment.readers import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
PAGE = (ROOT / "docs" / "deploying.md").read_text()
# What an operator may put together: components beside the base.
BUILDS: dict[str, tuple[str, ...]] = {
    "base": (),
    "bucket": ("bucket",),
    "keda": ("keda",),
    "sentry": ("sentry",),
    "trainer": ("trainer",),
    "ray": ("trainer", "ray"),
    "backup": ("backup",),
    "backup-copies": ("backup", "backup-copies"),
    "traces": ("traces",),
    "all": ("backup", "backup-copies", "bucket", "keda", "sentry", "trainer", "ray", "traces"),
}
COMPONENT = "app.kubernetes.io/component"
KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "configMapGenerator", "patches"}

Manifest = dict[str, Any]


def kustomization(name: str) -> Manifest:
    """As an operator writes one, beside the folder `base`."""
    return {
        "namespace": "tunery",
        "resources": ["base"],
        "components": [f"components/{component}" for component in BUILDS[name]],
    }


@cache
def built(name: str) -> tuple[Manifest, ...]:
    return tuple(gathered(KUBERNETES, kustomization(name), []))


def overlay(name: str) -> list[Manifest]:
    return of_folder(KUBERNETES / "overlays" / name, [])


def of_folder(folder: Path, resources: list[Manifest]) -> list[Manifest]:
    return gathered(folder, yaml.safe_load((folder / "kustomization.yaml").read_text()), resources)


def gathered(folder: Path, asked: Manifest, resources: list[Manifest]) -> list[Manifest]:
    """These resources and what a kustomization in this folder adds and changes."""
    assert asked.keys() <= KNOWN
    for path in ((folder / name).resolve() for name in asked.get("resources", [])):
        added = of_folder(path, []) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
        resources = resources + added
    for name in asked.get("components", []):
        resources = of_folder((folder / name).resolve(), resources)
    for generator in asked.get("configMapGenerator", []):
        resources = with_settings(resources, generator)
    for patch in asked.get("patches", []):
        change = yaml.safe_load(patch["patch"] if "patch" in patch else (folder / patch["path"]).read_text())
        resources = patched(resources, change, patch.get("target") or target_of(change))
    if "namespace" in asked:
        for each in resources:
            if each["kind"] != "Namespace":
                each["metadata"]["namespace"] = asked["namespace"]
    return resources


def with_settings(resources: list[Manifest], generator: Manifest) -> list[Manifest]:
    values = dict(literal.split("=", 1) for literal in generator["literals"])
    if generator.get("behavior") == "merge":
        find(resources, "ConfigMap", generator["name"])["data"] |= values
        return resources
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": values}
    return [*resources, made]


def target_of(change: Manifest) -> dict[str, str]:
    return {"kind": change["kind"], "name": change["metadata"]["name"]}


def patched(resources: list[Manifest], change: Manifest, target: dict[str, str]) -> list[Manifest]:
    is_meant = [
        bool(re.fullmatch(target["kind"], each["kind"]))
        and bool(re.fullmatch(target.get("name", ".*"), each["metadata"]["name"]))
        for each in resources
    ]
    assert any(is_meant) or change["kind"] == "CronJob", f"a patch changes nothing: {target}"  # that one is optional
    if change.get("$patch") == "delete":
        return [each for each, meant in zip(resources, is_meant, strict=True) if not meant]
    body = {name: value for name, value in change.items() if name not in {"apiVersion", "kind", "metadata"}}
    return [merged(each, body) if meant else each for each, meant in zip(resources, is_meant, strict=True)]


def merged(old: Any, new: Any) -> Any:
    """A strategic merge: objects by key, lists by what identifies their items, all else replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: merged(old.get(key), value) for key, value in new.items()}
    if not (isinstance(new, list) and all(isinstance(item, dict) and key_of(item) for item in new)):
        return new
    items = {key_of(item): item for item in old or []}
    for item in new:
        if item.get("$patch") == "delete":
            del items[key_of(item)]
        else:
            items[key_of(item)] = merged(items.get(key_of(item)), item)
    return list(items.values())


def key_of(item: Manifest) -> str | None:
    return item.get("mountPath") or item.get("name")


def find(resources: Any, kind: str, name: str) -> Manifest:
    (found,) = (each for each in resources if (each["kind"], each["metadata"]["name"]) == (kind, name))
    manifest: Manifest = found
    return manifest


def of_kind(resources: Any, *kinds: str) -> list[Manifest]:
    return [each for each in resources if each["kind"] in kinds]


def templates(resources: Any) -> dict[str, Manifest]:
    """The pods that these resources make, by what makes them."""
    found = {each["metadata"]["name"]: each["spec"]["template"] for each in of_kind(resources, "Deployment", "Job")}
    found |= {
        each["metadata"]["name"]: each["spec"]["jobTemplate"]["spec"]["template"]
        for each in of_kind(resources, "CronJob")
    }
    for ray in of_kind(resources, "RayCluster"):
        groups = [ray["spec"]["headGroupSpec"], *ray["spec"]["workerGroupSpecs"]]
        found |= {f"ray-{number}": group["template"] for number, group in enumerate(groups)}
    return found


def container(template: Manifest) -> Manifest:
    (only,) = template["spec"]["containers"]
    found: Manifest = only
    return found


def values_of(name: str, resources: Any) -> dict[str, str]:
    """The variables of a server's container whose values are in the manifests; as there, `env` takes precedence."""
    pod = container(templates(resources)[name])
    sources = [find(resources, "ConfigMap", source["configMapRef"]["name"]) for source in pod["envFrom"]]
    values = {name: value for source in sources for name, value in source["data"].items()}
    return values | {each["name"]: each["value"] for each in pod.get("env", []) if "value" in each}


def mounted_secrets(template: Manifest) -> dict[str, bool]:
    """The names of the Secrets whose files a pod has, and whether it starts without."""
    volumes = (volume.get("projected", {}) for volume in template["spec"]["volumes"])
    secrets = [source["secret"] for volume in volumes for source in volume.get("sources", [])]
    return {secret["name"]: secret.get("optional", False) for secret in secrets}


def referenced_keys(template: Manifest) -> set[tuple[str, str]]:
    """(Secret, key) of each variable whose value is in a Secret."""
    found = (each.get("valueFrom", {}).get("secretKeyRef") for each in container(template).get("env", []))
    return {(reference["name"], reference["key"]) for reference in found if reference}


@cache
def documented_secrets() -> dict[str, tuple[str, ...]]:
    """The Secrets that docs/deploying.md has an operator make, and their keys."""
    commands = re.findall(r"create secret generic (?:\\\n|.)+", PAGE)
    found = {}
    for command in commands:
        name, *options = shlex.split(command.replace("\\\n", " "), comments=True)[3:]
        found[name] = tuple(option.split("=", 2)[1] for option in options if option.startswith("--from-literal="))
    return found


def plain(resources: Any) -> list[Any]:
    """For comparing builds: without the hash in a generated name, and with lists in one order."""
    text = re.sub(r'"(tunery(?:-backup)?)-[0-9a-z]{10}"', r'"\1"', json.dumps(list(resources)))
    ordered: list[Any] = in_order(json.loads(text))
    return ordered


def in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(in_order, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value
