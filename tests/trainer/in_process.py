"""A trainer in the test's own process, and a job of it whose process has ended: nothing trains, nothing listens."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from trainer.server import job_folder
from trainer.server.engine import Trainer
from trainer.server.processes.local import ThisMachine
from trainer.server.records import KeptRun
from trainer.server.run import Run
from trainer.server.settings import Settings
from trainer.server.store import TrainerStore
from wire_server.records import Job
from wire_server.training_file import Contents

KEY = "sk-test"
DONE = {"event": "done", "step": 1, "trained_tokens": 10, "peak_bytes": 1}


@contextmanager
def trainer_in(folder: Path, **settings: Any) -> Iterator[Trainer]:
    (folder / "files").mkdir()
    chosen = Settings(api_key=KEY, folder=str(folder), devices="cpu", **settings)
    with closing(TrainerStore(folder / "state.db")) as store:
        python = Path("python")
        trainer = Trainer(chosen, store, python, ThisMachine(chosen, python))
        yield trainer
        trainer.stop_removing()
        asyncio.run(trainer.serving.stop())


def trained(trainer: Trainer) -> Run:
    """A job whose process has ended, and told so."""
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
    job = Job(
        id="ftjob-1",
        created_at=1,
        hyperparameters={},
        model="tiny",
        organization_id="org-trainer",
        result_files=[],
        status="running",
        training_file="file-1",
        seed=1,
        integrations=[],
        method=method,
    )
    contents = Contents(format="chat", n_examples=10, problem=None)
    spec = {"model": "ft:tiny:trainer::1", "options": {"full": False}}
    kept = KeptRun(job=job, base="tiny", spec=spec, training=contents, validation=None, checkpoints=[])
    run = trainer.runs[job.id] = Run(kept, trainer.job_folder(job.id), trainer.store)
    (run.folder / "final").mkdir(parents=True)
    (run.folder / "final" / "adapter_model.safetensors").write_bytes(b"weights")
    (run.folder / job_folder.LINES).write_text(json.dumps(DONE) + "\n")
    return run
