"""What a step of a job may do at the provider."""

from dataclasses import dataclass
from datetime import datetime

from shared.jobs.models import JobRequest
from worker.jobs.overlap import Compare
from worker.providers.protocol import NewJob


@dataclass(frozen=True)
class Create:
    """Create the job. That it is about to be created is already committed, in `create_pending_at`."""

    job: NewJob


@dataclass(frozen=True)
class Find:
    """Look for the job: an attempt to create it began at this time, and nobody knows how it ended."""

    since: datetime


@dataclass(frozen=True)
class Tell:
    """Pass on what the caller has asked for."""

    request: JobRequest


@dataclass(frozen=True)
class Poll:
    """See how it is doing; `fully` unless the list of all jobs tells of its status."""

    fully: bool


Do = Compare | Create | Find | Tell | Poll
