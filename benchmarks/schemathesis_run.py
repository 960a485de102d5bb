"""Runs schemathesis with all its checks and at least 5,000 authenticated requests against our `/openapi.json`.

`python -m benchmarks.schemathesis_run [most cases per operation and phase]`
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.stack import Measured, measured_stack, print_table

CONFIG = Path(__file__).with_suffix("").with_name("schemathesis.toml")
QUICK = {"TUNERY_LOG_LEVEL": "error", "TUNERY_WEBHOOK_TIMEOUT": "1", "TUNERY_ENQUEUE_AGAIN_AFTER": "1"}
TIMEOUT_SECONDS = 3600


def run(document: str, keys: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """schemathesis in a process of its own; `keys` are the variables of its configuration."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run", document]
    command += ["--checks", "all", "--continue-on-failure", "--no-color", *options]
    with tempfile.TemporaryDirectory() as folder:  # it writes a database into its working directory
        return subprocess.run(
            command, env={**keys}, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )


def keys_of(stack: Measured) -> dict[str, str]:
    return {"TUNERY_KEY": stack.api_key, "TUNERY_ADMIN_KEY": stack.admin_key}


def main(most: str) -> None:
    with measured_stack(**QUICK) as stack:
        document = stack.base_url.removesuffix("/v1") + "/openapi.json"
        done = run(document, keys_of(stack), "--max-examples", most)
    print(done.stdout[done.stdout.find("= FAILURES =") :] if done.returncode else "")
    generated = re.search(r"([\d,]+) generated", done.stdout)
    tested = re.search(r"Tested: (\d+)", done.stdout)
    found = dict(re.findall(r"❌ ST\d+ ([^:\n]+): (\d+)", done.stdout))
    print_table(
        [
            ("operations, cases", "≥ 5,000 cases", f"{tested and tested[1]}, {generated and generated[1]}"),
            ("server errors", "0", found.get("Server error", "0")),
            ("findings of all checks", "nothing", ", ".join(f"{n} {c}" for n, c in found.items()) or "nothing"),
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "100")
