"""What a job tells its server: `lines.jsonl`, one object a line, each line written at once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer.job.stopping import leave_if_superseded


class Lines:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "lines.jsonl"

    def write(self, event: str, **fields: Any) -> None:
        """One write(2) to a file opened for appending: a killed process leaves whole lines, and only a full disk breaks
        one off, which raises OSError.

        A process whose folder a later attempt has writes nothing, and ends here.
        """
        leave_if_superseded(self._path.parent)
        self._end_a_broken_line()
        line = json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            rest = line.encode()
            while rest:
                rest = rest[os.write(file, rest) :]
            if event != "step":  # a step is done again, an end is not
                os.fsync(file)
        finally:
            os.close(file)

    def read(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # a line that a full disk cut off

    def steps_of(self, event: str) -> set[int]:
        """The steps of which such a line was told."""
        return {line["step"] for line in self.read() if line.get("event") == event}

    def _end_a_broken_line(self) -> None:
        if not self._path.exists() or not self._path.stat().st_size:
            return
        with self._path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
