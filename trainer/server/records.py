"""What the trainer keeps: tuned models with their folders, and jobs with what is wanted of them."""

from typing import Any

from msgspec import Struct

from wire_server import records
from wire_server.records import Checkpoint, Job
from wire_server.training_file import Contents


class TunedModel(records.TunedModel, kw_only=True):
    """A tuned model. `folder` holds its adapter, or the whole model if `is_whole`."""

    folder: str
    is_whole: bool
    job_id: str


class KeptRun(Struct, kw_only=True):
    """What is kept of a job. `spec`: `job.json` without what is decided when a process is started.

    `offset`: bytes of `lines.jsonl` that are told. `failures`: ends without a word since the last new step; `losses`:
    processes that a cluster lost since then.
    `attempt`: how often its process was started in a cluster; `in_cluster`: whether the last of them may go on there.
    """

    job: Job
    base: str
    spec: dict[str, Any]
    training: Contents
    validation: Contents | None
    checkpoints: list[Checkpoint]
    offset: int = 0
    n_events: int = 0
    last_step: int = 0
    last_validated: int = -1
    total_steps: int = 0
    metrics: dict[str, float] = {}
    failures: int = 0
    losses: int = 0
    attempt: int = 0
    in_cluster: bool = False
