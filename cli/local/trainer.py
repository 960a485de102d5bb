"""The trainer as one of the servers of `up` and of the demo."""

from dataclasses import dataclass
from pathlib import Path

from cli.local import commands
from cli.processes.ports import LOCALHOST


@dataclass(frozen=True)
class LocalTrainer:
    """`folder` is its state, `python` that of its environment. It may be the only provider, or one beside another."""

    folder: Path
    python: Path
    is_only_provider: bool = False

    def variables(self, key: str) -> dict[str, str]:
        return {"TRAINER_FOLDER": str(self.folder), "TRAINER_PYTHON": str(self.python), "TRAINER_API_KEY": key}

    def command(self, port: int) -> list[str]:
        return commands.trainer("--host", LOCALHOST, "--port", str(port))
