"""`python -m cli.dev.kubernetes_schemas`: renews Kubernetes' schemas, by which tests judge `deploy/kubernetes`.

They come from the package kubernetes-validate, which has those of every version and takes 72 MB. Kept are those of the
oldest version that we support and of the kinds that we use, without their descriptions. For another kind add it to
`KINDS`, and run this.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        content = Path(name)
        _fetch(content)
        schemas = f"kubernetes_validate/kubernetes-json-schema/v{KUBERNETES}-local-strict/_definitions.json"
        (licence,) = content.glob("*.dist-info/licenses/LICENSE")
        taken = {
            "definitions.json": (schemas, _text(_reached(json.loads((content / schemas).read_text())["$defs"]))),
            f"{PACKAGE}.LICENSE": (str(licence.relative_to(content)), licence.read_text()),
        }
    files = {}
    for file, (source, text) in taken.items():
        (FOLDER / file).write_text(text)
        files[file] = {"from": source, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    facts = {PACKAGE: {"version": VERSION, "kubernetes": KUBERNETES, "licence": "Apache-2.0", "files": files}}
    (FOLDER / "manifest.json").write_text(json.dumps(facts, indent=2) + "\n")


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
        main()
    except Failure as failure:
        sys.exit(str(failure))
