"""A job's folder: what its process is told, and what is left of it when the job is over."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

LINES, ERRORS, SPEC = "lines.jsonl", "stderr.log", "job.json"
ADAPTER = ("adapter_model.safetensors", "adapter_config.json")
ONLY_TO_GO_ON = ("optimizer*", "scheduler.pt", "rng_state*", "trainer_state.json", "training_args.bin")
MAX_READ_BYTES = 1024 * 1024
LAST_WORDS = 500


def make(
    folder: Path, spec: dict[str, Any], train: Path, valid: Path | None, parent: Path | None, *, parent_is_whole: bool
) -> None:
    """Gives the job copies of its own, so that neither its files nor its parent model need to stay.

    The paths of the copies are put into `spec`. `parent`: the folder of the adapter, or of the whole model.
    """
    folder.mkdir(parents=True)
    spec["train"] = str(_copy(train, folder / "train.jsonl"))
    spec["valid"] = str(_copy(valid, folder / "valid.jsonl")) if valid else None
    spec["from_adapter"] = None
    if parent:
        copied = folder / "parent"
        copied.mkdir()
        names = [path.name for path in _files(parent)] if parent_is_whole else ADAPTER
        for name in names:
            _copy(parent / name, copied / name)
        spec["base" if parent_is_whole else "from_adapter"] = str(copied)


def _copy(source: Path, target: Path) -> Path:
    """A second link to the same bytes where the file system has them: they never change."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    new = folder / f"{SPEC}.new"
    new.write_text(json.dumps(spec, indent=1))
    new.replace(folder / SPEC)


def read_lines(folder: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines after `offset`, and the offset behind them. A line that is no JSON object is passed over."""
    try:
        with (folder / LINES).open("rb") as file:
            file.seek(offset)
            read = file.read(MAX_READ_BYTES)
    except FileNotFoundError:
        return [], offset
    whole = read[: read.rfind(b"\n") + 1]
    return [line for line in map(_decoded, whole.splitlines()) if line], offset + len(whole)


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        decoded = json.loads(line)
    except ValueError:  # the beginning of a line, before the power went
        return None
    return decoded if isinstance(decoded, dict) else None


def last_words(folder: Path) -> str:
    """The last line that the process wrote to its standard error."""
    try:
        with (folder / ERRORS).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * LAST_WORDS))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1][:LAST_WORDS] if lines else ""


def tidy(folder: Path) -> None:
    """Deletes what only a job that goes on needs: its files, and the state of the optimizer in each checkpoint."""
    for name in ("train.jsonl", "valid.jsonl"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "parent", ignore_errors=True)
    for pattern in ONLY_TO_GO_ON:
        for path in folder.glob(f"step-*/{pattern}"):
            path.unlink(missing_ok=True)


def pack(folder: Path, target: Path) -> None:
    """Puts the files of a model's folder into a zip file at `target`, uncompressed: weights do not shrink."""
    with ZipFile(target, "w", ZIP_STORED) as packed:
        for path in _files(folder):
            packed.write(path, path.name)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
