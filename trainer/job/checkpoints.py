"""The folders `step-N` and `final` of a job: a folder is whole, or it is not there."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from trainer import disk

_CARD_OF_PEFT, _ARGUMENTS = "README.md", "training_args.bin"  # of no use for going on, and they name local paths


@dataclass(frozen=True)
class Checkpoints:
    """`partial` holds what is being written, and temporary files; nothing in it outlives a process."""

    folder: Path
    steps_per_epoch: int = 1
    keep_epochs: int = 1

    @property
    def partial(self) -> Path:
        return self.folder / "partial"

    def clear_partial(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)

    def steps(self) -> list[int]:
        found = (re.fullmatch(r"step-(\d+)", path.name) for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(match[1]) for match in found if match)

    def newest(self) -> Path | None:
        steps = self.steps()
        return self.folder / f"step-{steps[-1]}" if steps else None

    def is_epoch_end(self, step: int) -> bool:
        return step % self.steps_per_epoch == 0

    def publish(self, written: Path, name: str, base_name: str) -> None:
        """Gives a folder that was written in `partial` its name, once all of it is on the disk."""
        for needless in (_CARD_OF_PEFT, _ARGUMENTS) if name != "final" else (_ARGUMENTS,):
            (written / needless).unlink(missing_ok=True)
        _name_the_base(written / "adapter_config.json", base_name)
        for path in [*written.rglob("*"), written]:
            disk.flush(path)
        target = self.folder / name
        if target.exists():
            self._remove(target)
        written.replace(target)
        disk.flush(self.folder)

    def prune(self) -> None:
        """The newest of all stays, and the ends of the last epochs."""
        steps = self.steps()
        ends = [step for step in steps if self.is_epoch_end(step)]
        kept = {*ends[-self.keep_epochs :], *steps[-1:]}
        for step in steps:
            if step not in kept:
                self._remove(self.folder / f"step-{step}")

    def _remove(self, path: Path) -> None:
        """Under its name a folder is never seen half empty."""
        self.partial.mkdir(exist_ok=True)
        gone = self.partial / f"gone-{path.name}"
        shutil.rmtree(gone, ignore_errors=True)
        path.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)


def step_of(folder: Path | None) -> int:
    return int(folder.name.removeprefix("step-")) if folder else 0


def _name_the_base(config: Path, base_name: str) -> None:
    """The adapter may be downloaded: it names its base, not a path of this machine."""
    if config.exists():
        fields = json.loads(config.read_text()) | {"base_model_name_or_path": base_name}
        config.write_text(json.dumps(fields, indent=2) + "\n")
