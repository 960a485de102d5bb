"""Holds the sandbox's whole state in memory, in one object that `POST /sandbox/reset` empties.

`sandbox.kept` writes it into a folder, if there is one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from fastapi import Depends

from sandbox.faults.armed import Fault
from sandbox.models import BASES, Base
from sandbox.records import Deployment, TunedModel
from sandbox.runs import Run
from sandbox.settings import Settings
from wire_server.records import Job, new_id, new_model_name
from wire_server.state import State, get_state


class SandboxState(State):
    """Files, uploads, jobs, models and faults. What is done with them: `sandbox.engine.Sandbox`."""

    settings: Settings
    runs: dict[str, Run]
    tuned: dict[str, TunedModel]
    models: Mapping[str, Base] = BASES
    """Base models by each of their names."""
    reinforcement_needs_validation = True
    checkpoints_kept = 3
    """Of each job; the oldest go first."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._empty()

    def forget(self) -> None:
        """Deletes everything."""
        for path in self.folder.iterdir():
            path.unlink()
        self._empty()

    def _empty(self) -> None:
        self.files, self.uploads = {}, {}
        self.runs, self.tuned = {}, {}
        self.deployments: dict[str, Deployment] = {}
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.list_lag = 0.0
        self.receiver: object | None = None  # compared by identity: a loop of sandbox.webhooks ends when it changes

    def advance(self) -> None:
        """Brings jobs, files and uploads up to the present."""
        now = self.now()
        for run in self.runs.values():
            run.advance(now)
        for deployment in self.deployments.values():
            deployment.advance(now)
        super().advance()

    def model_name(self, run: Run) -> str:
        """The name that the tuned model of this job gets."""
        return new_model_name(run.job, run.base)

    def copied_id(self, run: Run) -> str:
        """The id of a copy that a test makes of this job."""
        return new_id("ftjob-")

    async def listed_jobs(self) -> Iterable[Job]:
        """Jobs created less than `list_lag` seconds ago are missing."""
        now = self.now()
        return (run.job for run in self.runs.values() if run.visible_at <= now)


SandboxDep = Annotated[SandboxState, Depends(get_state)]
