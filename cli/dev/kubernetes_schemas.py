"""`python -m cli.dev.kubernetes_schemas [kuberay=FOLDER] [keda=FOLDER]`: renews the schemas of `deploy/kubernetes`.

Tests judge the manifests by them. Those of Kubernetes come from the package kubernetes-validate, which has those of
every version and takes 72 MB; those of KubeRay and KEDA come from clones of their repositories. Kept are those of the
oldest versions that we support and of the kinds that we use, without their descriptions. For another kind add it to
`KINDS` or `RESOURCES`, and run this.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cli.dev import bootstrap
from cli.failure import Failure
from cli.local import commands

FOLDER = commands.ROOT / "tests" / "deployment" / "kubernetes_schemas"
PACKAGE, VERSION = "kubernetes-validate", "1.37.0"
KUBERNETES = "1.30.0"
KINDS = {
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "io.k8s.api.batch.v1.CronJob",
    "io.k8s.api.batch.v1.Job",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Namespace",
    "io.k8s.api.core.v1.PersistentVolumeClaim",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.core.v1.ServiceAccount",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
}
POD = "io.k8s.api.core.v1.PodTemplateSpec"


class Resource(NamedTuple):
    """A custom resource: where its definition is in a repository, and in which version of it and of the resource."""

    tag: str
    path: str
    version: str


RESOURCES = {
    "kuberay": Resource("v1.6.0", "ray-operator/config/crd/bases/ray.io_rayclusters.yaml", "v1"),
    "keda": Resource("v2.17.0", "config/crd/bases/keda.sh_scaledobjects.yaml", "v1alpha1"),
}


def main(arguments: list[str]) -> None:
    facts = json.loads((FOLDER / "manifest.json").read_text())
    facts[PACKAGE] = _of_kubernetes()
    for argument in arguments:
        project, _, clone = argument.partition("=")
        if project not in RESOURCES:
            raise Failure(f"{argument} is none of {', '.join(f'{name}=FOLDER' for name in RESOURCES)}.")
        facts[project] = _of_project(project, clone)
    (FOLDER / "manifest.json").write_text(json.dumps(facts, indent=2) + "\n")


def _of_kubernetes() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        content = Path(name)
        _fetch(content)
        schemas = f"kubernetes_validate/kubernetes-json-schema/v{KUBERNETES}-local-strict/_definitions.json"
        (licence,) = content.glob("*.dist-info/licenses/LICENSE")
        taken = {
            "definitions.json": (schemas, _text(_reached(json.loads((content / schemas).read_text())["$defs"]))),
            f"{PACKAGE}.LICENSE": (str(licence.relative_to(content)), licence.read_text()),
        }
    return {"version": VERSION, "kubernetes": KUBERNETES, "licence": "Apache-2.0", "files": _written(taken)}


def _of_project(project: str, clone: str) -> dict[str, Any]:
    """A kind's schema with the pods of Kubernetes in place of copies of them, and closed: a wrong name is an error."""
    tag, path, version = RESOURCES[project]
    defined = yaml.safe_load(_shown(clone, tag, path))["spec"]
    group, kind = defined["group"], defined["names"]["kind"]
    [schema] = [each["schema"]["openAPIV3Schema"] for each in defined["versions"] if each["name"] == version]
    schema = _closed(_without_descriptions(schema))
    schema["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": kind}]
    name = ".".join([*reversed(group.split(".")), version, kind])
    taken = {
        f"{project}.json": (path, _text({name: schema})),
        f"{project}.LICENSE": ("LICENSE", _shown(clone, tag, "LICENSE")),
    }
    return {"version": tag, "licence": "Apache-2.0", "files": _written(taken)}


def _shown(clone: str, tag: str, path: str) -> str:
    command = ["git", "-C", clone, "show", f"{tag}:{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{clone} lacks {path} of {tag}: {done.stderr.strip()}")
    return done.stdout


def _written(taken: dict[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    """What the manifest says of files, each given with where it is from."""
    for file, (_, text) in taken.items():
        (FOLDER / file).write_text(text)
    return {
        file: {"from": source, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for file, (source, text) in taken.items()
    }


def _fetch(folder: Path) -> None:
    uv = bootstrap.find_uv(commands.ROOT / ".state")
    if uv is None:
        raise Failure("The package is fetched with uv, which `./tunery lock` installs.")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(folder), f"{PACKAGE}=={VERSION}"]
    environment = commands.environment(**bootstrap.TRUST_OF_THE_SYSTEM)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{PACKAGE} could not be fetched: {done.stderr.strip()}")


def _reached(definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions of `KINDS` and of all that they refer to."""
    found: dict[str, Any] = {}
    names = sorted(KINDS)
    while names:
        name = names.pop()
        if name not in found:
            found[name] = _without_descriptions(definitions[name])
            names += _references(found[name])
    return found


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_descriptions(each) for each in value]
    if not isinstance(value, dict):
        return value
    is_text = isinstance(value.get("description"), str)  # a property of that name is an object
    return {k: _without_descriptions(v) for k, v in value.items() if not (is_text and k == "description")}


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    closed = {k: {"$ref": f"#/$defs/{POD}"} if _is_pod(k, v) else _closed(v) for k, v in value.items()}
    is_open = "additionalProperties" in value or "x-kubernetes-preserve-unknown-fields" in value
    has_fields = value.get("type") == "object" and "properties" in value
    return closed | ({"additionalProperties": False} if has_fields and not is_open else {})


def _is_pod(name: str, value: Any) -> bool:
    return name == "template" and isinstance(value, dict) and "spec" in value.get("properties", {})


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in _references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"].removeprefix("#/$defs/")] if isinstance(value.get("$ref"), str) else []
    return own + [name for each in value.values() for name in _references(each)]


def _text(definitions: dict[str, Any]) -> str:
    """One definition in a line, so that a difference can be read."""
    lines = [f"{json.dumps(name)}: {json.dumps(definitions[name], sort_keys=True)}" for name in sorted(definitions)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(str(failure))
