"""A job's folder: what its process is told, and what is left of it when the job is over."""

import json
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from trainer import disk

LINES, ERRORS, SPEC, ASK = "lines.jsonl", "stderr.log", "job.json", "ask"
TRAIN, VALID, PARENT, PARTIAL = "train.jsonl", "valid.jsonl", "parent", "partial"
ADAPTER = ("adapter_model.safetensors", "adapter_config.json")
ONLY_TO_GO_ON = ("optimizer*", "scheduler.pt", "rng_state*", "trainer_state.json", "training_args.bin")
MAX_READ_BYTES = 1024 * 1024
MAX_LOG_BYTES = 64 * 1024
LAST_WORDS = 500


def make(folder: Path, spec: dict[str, Any], train: Path, valid: Path | None, parent: Path | None) -> None:
    """Gives the job copies of its own, so that neither its files nor its parent model need to stay.

    `parent`: the folder of the adapter, or of the whole model, that the job begins with.
    """
    folder.mkdir(parents=True)
    write_spec(folder, spec)  # first of all: `trainer base remove` looks into it, waiting jobs included
    _copy(train, folder / TRAIN)
    if valid:
        _copy(valid, folder / VALID)
    if parent:
        (folder / PARENT).mkdir()
        for name in [path.name for path in _files(parent)] if spec["parent_is_whole"] else ADAPTER:
            _copy(parent / name, folder / PARENT / name)
        disk.flush(folder / PARENT)
    for made in (folder, folder.parent, folder.parent.parent):
        disk.flush(made)


def inputs(folder: Path, *, parent_is_whole: bool) -> dict[str, str | None]:
    """What the job begins with, as `job.json` names it. A whole parent takes the place of the base."""
    paths: dict[str, str | None] = {"train": str(folder / TRAIN), "valid": None, "from_adapter": None}
    if (folder / VALID).exists():
        paths["valid"] = str(folder / VALID)
    if (folder / PARENT).exists():
        paths["base" if parent_is_whole else "from_adapter"] = str(folder / PARENT)
    return paths


def _copy(source: Path, target: Path) -> None:
    """A second link to the same bytes where the file system has them: they never change."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        disk.flush(target)


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    new = folder / f"{SPEC}.new"
    new.write_text(json.dumps(spec, indent=1))
    new.replace(folder / SPEC)


def ask(folder: Path, what: str, attempt: int) -> None:
    """Tells the processes of all attempts up to this one to `pause`, `cancel` or `leave`, wherever they run.

    `trainer/job/stopping.py` reads it. It is what reaches a process that no signal of ours reaches.
    """
    new = folder / f"{ASK}.new"
    new.write_text(f"{what} {attempt}\n")
    new.replace(folder / ASK)


def keep_log(folder: Path, text: str) -> None:
    """Puts the log of a process that ran elsewhere in the place of the one it would have written here."""
    (folder / ERRORS).write_bytes(text.encode()[-MAX_LOG_BYTES:])


def read_lines(folder: Path, offset: int) -> tuple[list[tuple[dict[str, Any], int]], int]:
    """The whole lines after `offset`, each with the offset behind it, and the offset behind all that was read.

    A line that is no JSON object is passed over.
    """
    try:
        with (folder / LINES).open("rb") as file:
            offset = min(offset, file.seek(0, os.SEEK_END))  # the machine lost power before the last lines were on disk
            file.seek(offset)
            read = file.read(MAX_READ_BYTES)
    except FileNotFoundError:
        return [], offset
    lines = []
    for line in read[: read.rfind(b"\n") + 1].splitlines(keepends=True):
        offset += len(line)
        if decoded := _decoded(line):
            lines.append((decoded, offset))
    return lines, offset


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        decoded = json.loads(line)
    except ValueError:  # the beginning of a line, before the power went
        return None
    return decoded if isinstance(decoded, dict) else None


def last_words(log: Path) -> str:
    """The last line of what a process wrote to its standard error; empty if it wrote nothing."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * LAST_WORDS))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1][:LAST_WORDS] if lines else ""


def tidy(folder: Path, kept: Collection[str]) -> None:
    """Deletes what only a job that goes on needs: its inputs, half-made checkpoints, the state of the optimizer.

    `kept`: the names of the folders that are models.
    """
    for name in (TRAIN, VALID):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / PARENT, folder / PARTIAL, folder / "final", *folder.glob("step-*")):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
    for pattern in ONLY_TO_GO_ON:
        for path in folder.glob(f"step-*/{pattern}"):
            path.unlink(missing_ok=True)


def pack(folder: Path, target: Path) -> None:
    """Puts the files of a model's folder into a zip file at `target`, uncompressed: weights do not shrink."""
    with ZipFile(target, "w", ZIP_STORED) as packed:
        for path in _files(folder):
            packed.write(path, path.name)
    disk.flush_named(target)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
