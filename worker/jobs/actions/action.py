"""The three parts of a job's step, for each `next_action` of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlmodel import Session

from shared.jobs.models import Job
from worker.providers.protocol import Provider
from worker.runtime.errors import StepError

Work = TypeVar("Work")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Action(Generic[Work, Answer]):
    """What a step does for one `next_action`.

    `plan` returns what to do; None if nothing is to be called, after releasing the job. `call` does it, with no
    transaction open. `record` writes the answer, sets the next action and releases the job.
    """

    plan: Callable[[Session, Job], Work | None]
    call: Callable[[Provider, Job, Work], Answer]
    record: Callable[[Session, Job, Work, Answer | StepError], None]
