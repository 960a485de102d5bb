"""`python -m cli.dev.vendored`: renews the files of other projects that browsers load, as their manifests name them.

A manifest lists, by package of npm, its version and licence, and by file here where it is in the package, and its
SHA-256. To take a newer version, change `version` there and run this: it fetches the package with `npm pack`, replaces
the files and writes the manifest anew. Nothing else ever needs npm.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from cli.failure import Failure
from cli.local.commands import ROOT

MANIFESTS = ("api/dashboard/static/vendor/manifest.json", "tests/dashboard/vendor/manifest.json")


def main() -> None:
    for name in MANIFESTS:
        renew(ROOT / name)


def renew(manifest: Path) -> None:
    """Fetch each package of a manifest, and replace its files and their hashes."""
    packages: dict[str, Any] = json.loads(manifest.read_text())
    for package, facts in packages.items():
        with tempfile.TemporaryDirectory() as folder:
            content = _fetched(f"{package}@{facts['version']}", Path(folder))
            facts["licence"] = json.loads((content / "package.json").read_text())["license"]
            for name, file in facts["files"].items():
                shutil.copyfile(content / file["from"], manifest.parent / name)
                file["sha256"] = hashlib.sha256((manifest.parent / name).read_bytes()).hexdigest()
        print(f"{package} {facts['version']}, {facts['licence']}")
    manifest.write_text(json.dumps(packages, indent=2) + "\n")


def _fetched(package: str, folder: Path) -> Path:
    """Return the folder with the content of a package. Raises `Failure` if npm does not fetch it."""
    done = subprocess.run(["npm", "pack", package, "--silent"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"npm could not fetch {package}: {done.stderr.strip()}")
    with tarfile.open(folder / done.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
