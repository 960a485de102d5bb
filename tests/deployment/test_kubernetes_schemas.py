"""The manifests have the fields of Kubernetes 1.30, the oldest version that they are for, of the right types.

So have the kinds of KubeRay 1.6 and KEDA 2.17. The schemas beside this file are these projects' own;
`python -m cli.dev.kubernetes_schemas` renews them.
"""

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
import yaml

from cli.dev.kubernetes_schemas import FOLDER, KINDS, POD, RESOURCES
from tests.deployment.kubernetes import BUILDS, KUBERNETES, Manifest, built, find, key_of, templates

OF_OTHERS: Manifest = {
    name: schema
    for project in RESOURCES
    for name, schema in json.loads((FOLDER / f"{project}.json").read_text()).items()
}
DEFINITIONS: Manifest = json.loads((FOLDER / "definitions.json").read_text()) | OF_OTHERS


@cache
def kinds() -> dict[tuple[str, str], str]:
    """The name of the definition of each kind that we use."""
    found = {}
    for name in KINDS | OF_OTHERS.keys():
        [meant] = DEFINITIONS[name]["x-kubernetes-group-version-kind"]
        found["/".join(filter(None, (meant["group"], meant["version"]))), meant["kind"]] = name
    return found


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(reference(name) | {"$defs": DEFINITIONS})


def complaints(name: str, value: Any) -> list[str]:
    errors = validator(name).iter_errors(value)
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


@pytest.mark.parametrize("name", BUILDS)
def test_manifests_have_the_schemas_of_kubernetes(name: str) -> None:
    for each in built(name):
        assert complaints(kinds()[kind_of(each)], each) == [], each["metadata"]["name"]
    for template in templates(built(name)).values():
        assert complaints(POD, template) == []


def test_every_kind_of_the_schemas_is_used() -> None:
    used = {kind_of(each) for name in BUILDS for each in built(name)}
    assert used == kinds().keys()


@pytest.mark.parametrize(
    ("kind", "name", "change", "complaint"),
    [
        ("Deployment", "beat", {"replica": 2}, "'replica'"),
        ("Deployment", "beat", {"replicas": "two"}, '"two" is not of type'),
        ("Deployment", "beat", {"template": {}, "selector": {"matchLabel": {}}}, "'matchLabel'"),
        ("RayCluster", "tunery", {"rayversion": "2.60.0"}, "'rayversion'"),
        ("RayCluster", "tunery", {"headGroupSpec": {"template": {"spec": {"volume": []}}}}, "'volume'"),
        ("RayCluster", "tunery", {"workerGroupSpecs": [{"replicas": "two"}]}, '"two" is not of type'),
        ("ScaledObject", "worker", {"minReplicas": 2}, "'minReplicas'"),
        ("ScaledObject", "worker", {"triggers": [{"type": "prometheus"}]}, '"metadata" is a required'),
    ],
)
def test_a_wrong_manifest_is_refused(kind: str, name: str, change: Manifest, complaint: str) -> None:
    wrong = copy.deepcopy(find(built("all"), kind, name))
    wrong["spec"] |= change
    assert complaint in "".join(complaints(kinds()[kind_of(wrong)], wrong))


def test_patches_are_merged_by_the_keys_of_kubernetes() -> None:
    """`kubectl kustomize` does so, and so must the reader of these tests where there is no kubectl."""
    merged = [pair for patch in patches() for pair in merged_items(reference(kinds()[kind_of(patch)]), patch)]
    assert len(merged) > 10
    for key, item in merged:
        assert key_of(item) == (item[key] if key else None), item


def patches() -> Iterator[Manifest]:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        for patch in yaml.safe_load(path.read_text()).get("patches", []):
            yield yaml.safe_load(patch["patch"] if "patch" in patch else (path.parent / patch["path"]).read_text())


def kind_of(manifest: Manifest) -> tuple[str, str]:
    return manifest["apiVersion"], manifest["kind"]


def reference(name: str) -> Manifest:
    return {"$ref": f"#/$defs/{name}"}


def merged_items(schema: Manifest, value: Manifest) -> Iterator[tuple[str | None, Manifest]]:
    """Each object of a list in a patch, with the key by which it finds its like, which lists that are replaced lack."""
    schema = DEFINITIONS[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else schema
    for field, content in value.items():
        inner = schema.get("properties", {}).get(field, {})
        if isinstance(content, dict):
            yield from merged_items(inner, content)
        for item in content if isinstance(content, list) else []:
            if isinstance(item, dict):
                yield inner.get("x-kubernetes-patch-merge-key"), item
                yield from merged_items(inner["items"], item)
