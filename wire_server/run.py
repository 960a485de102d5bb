"""A job as every engine tells it: what it says when, how it ends, and its checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from wire_server.records import FINAL, Checkpoint, Job, JobError, JobEvent, new_id


class Run(ABC):
    """A job, its base model's name, and its checkpoints, oldest first."""

    def __init__(self, job: Job, base: str, checkpoints: list[Checkpoint]) -> None:
        self.job = job
        self.base = base
        self.checkpoints = checkpoints

    @abstractmethod
    def now(self) -> float:
        """The Unix time that is written into what happens."""

    @abstractmethod
    def events_page(self, after: str | None, limit: int) -> tuple[Sequence[JobEvent], bool]:
        """Events, newest first, and whether older ones follow. Raises ApiError 400 for an unknown cursor."""

    @abstractmethod
    def keep_event(self, event: JobEvent) -> None: ...

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def is_over(self) -> bool:
        return self.job.status in FINAL

    @property
    def method(self) -> str:
        return str(self.job.method["type"])

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The method's hyperparameters as the wire shows them; numbers once the files are validated."""
        values = self.job.method[self.method]["hyperparameters"]
        assert isinstance(values, dict)
        return values

    def add_event(
        self, message: str, *, level: str = "info", type: str = "message", data: dict[str, Any] | None = None
    ) -> None:
        id, now = new_id("ftevent-"), int(self.now())
        self.keep_event(JobEvent(id=id, created_at=now, level=level, message=message, type=type, data=data or {}))

    def tell_creation(self) -> None:
        self.add_event(f"Created fine-tuning job: {self.id}")
        also = f" and validation file: {self.job.validation_file}" if self.job.validation_file else ""
        self.add_event(f"Validating training file: {self.job.training_file}{also}")

    def choose(self, automatic: Mapping[str, Any]) -> None:
        """Replaces each hyperparameter that is `auto` by the number that the training uses."""
        for name, value in self.hyperparameters.items():
            if value == "auto":
                self.hyperparameters[name] = automatic[name]
        if self.method == "supervised":
            self.job.hyperparameters = self.hyperparameters

    def pause(self) -> None:
        self.job.status, self.job.estimated_finish = "paused", None
        self.add_event("Fine-tuning job paused")

    def requeue(self) -> None:
        self.job.status = "queued"
        self.add_event("Fine-tuning job resumed, moving job to queued state")

    def add_checkpoint(self, name: str, step: int, metrics: dict[str, float]) -> None:
        """`name`: the model that it is."""
        self.checkpoints.append(
            Checkpoint(
                id=new_id("ftckpt_"),
                created_at=int(self.now()),
                fine_tuned_model_checkpoint=name,
                fine_tuning_job_id=self.id,
                metrics=metrics,
                step_number=step,
            )
        )

    def end(self, status: str, error: JobError | None = None) -> None:
        """Gives the job its final status."""
        assert status in FINAL
        self.job.status, self.job.error = status, error
        self.job.finished_at = int(self.now())
        self.job.estimated_finish = None

    def succeed(self, model: str) -> None:
        self.job.fine_tuned_model = model
        self.end("succeeded")
        self.add_event("The job has successfully completed")

    def fail(self, error: JobError) -> None:
        """Ends the job with this error, and writes its message into an event."""
        self.end("failed", error)
        self.add_event(error.message, level="error")

    def cancel(self) -> None:
        self.end("cancelled")
        self.add_event("The job was cancelled")
