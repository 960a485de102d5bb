"""What the worker needs of a provider, in types of its own; docs/providers.md says how to add one.

Every value in these types is safe to store: texts hold no NUL and no half of a surrogate pair, numbers fit their
columns, and times are in a range that each time zone can show. `sanitize` has the functions for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO, Protocol

from shared.jobs.models import JobStatus, Level

MAX_CLOCK_SKEW = timedelta(minutes=5)  # between a provider's clock and ours, when something is found by its time


@dataclass(frozen=True)
class NewFile:
    """A training file to send. `content` is read once, from its start; `sha256` is its hash in hexadecimal.

    `name` is that by which `find_file` finds it. `examples`: how many lines teach something.
    """

    name: str
    content: BinaryIO
    bytes: int
    sha256: str
    examples: int


@dataclass(frozen=True)
class Mark:
    """Our ids, which a job at the provider carries. Where it carries only the first the others are None."""

    job_id: str
    project_id: str | None
    organization_id: str | None


@dataclass(frozen=True)
class NewJob:
    """A job to create. `training_file` and `validation_file` are ids of the provider. `is_tuned`: `model` is not a base
    model, but one that an earlier job there has made.

    `method`, `suffix` and `integrations` are None where the caller left them out.
    `provider_options` were checked by `shared.providers.options` for the account's dialect.
    """

    mark: Mark
    model: str
    training_file: str
    validation_file: str | None
    seed: int
    suffix: str | None
    method: dict[str, Any] | None
    integrations: list[dict[str, Any]] | None
    provider_options: dict[str, Any] = field(default_factory=dict)
    is_tuned: bool = False

    @property
    def method_type(self) -> str:
        return str((self.method or {}).get("type", "supervised"))

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Those that the caller has chosen: `auto` leaves one to the provider."""
        given = ((self.method or {}).get(self.method_type) or {}).get("hyperparameters") or {}
        return {name: value for name, value in given.items() if value != "auto"}


@dataclass(frozen=True)
class JobError:
    """Why a job failed, in the provider's words; each is None where the provider gives none."""

    code: str | None
    message: str | None
    param: str | None


@dataclass(frozen=True)
class ProviderJob:
    """A job as the provider shows it. Values are None where the provider gives none, or one that cannot be used.

    `provider_status` is the provider's own word, and `status` what it means, None for an unknown word.
    `hyperparameters` are those that the provider says it uses. `cost`: what it says it has billed, in US dollars.
    """

    id: str
    provider_status: str
    status: JobStatus | None
    created_at: datetime | None = None
    mark: Mark | None = None
    model: str | None = None
    training_file: str | None = None
    validation_file: str | None = None
    seed: int | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    trained_tokens: int | None = None
    fine_tuned_model: str | None = None
    estimated_finish: datetime | None = None
    finished_at: datetime | None = None
    error: JobError | None = None
    result_files: tuple[str, ...] = ()
    cost: Decimal | None = None

    @property
    def facts(self) -> tuple[str, int | None, str | None]:
        """What the list of all jobs is compared by, to see whether a job has changed."""
        return self.provider_status, self.trained_tokens, self.fine_tuned_model


@dataclass(frozen=True)
class ProviderEvent:
    """`data` may hold the numbers `step` and `total_steps`. `saves_checkpoint`: there is a new checkpoint to fetch."""

    id: str
    created_at: datetime | None
    level: Level
    type: str
    message: str
    data: dict[str, Any] | None
    saves_checkpoint: bool


@dataclass(frozen=True)
class ProviderCheckpoint:
    id: str
    created_at: datetime | None
    model: str
    step_number: int
    metrics: dict[str, Any]


@dataclass(frozen=True)
class ProviderFile:
    """A training file. `bytes` is None where the provider does not say its size."""

    id: str
    name: str
    bytes: int | None
    created_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class BaseModel:
    """A model that nobody has tuned. `is_tunable`: the provider is known to accept jobs for it.

    `created` is a Unix time, 0 if unknown; `shutdown_date` is the provider's own text.
    """

    id: str
    created: int
    owned_by: str
    shutdown_date: str | None
    is_tunable: bool


class Provider(Protocol):
    """One account at a provider.

    Each call raises `ProviderError` and no other exception, repeats nothing by itself, calls `heartbeat.beat()` before
    each request and during long answers, and ends: time, bytes and pages of an answer are bounded. Lists that cannot be
    read raise; they are never empty, because the worker acts on what a list does not show.
    """

    def list_base_models(self) -> list[BaseModel]: ...

    def job_slots(self) -> dict[str, int]:
        """How many jobs of a model the account may have at once, by the model's name. Empty if the provider has no such
        limits, or does not say them."""
        ...

    def delete_model(self, name: str) -> None: ...

    def create_file(self, new: NewFile, expiry: timedelta) -> ProviderFile:
        """Upload a file whole. It deletes itself after `expiry`, where files expire; zero asks for no expiry.

        A provider that still has to look at the file answers later: `create_job` then raises `file_not_ready`.
        """
        ...

    def find_file(self, name: str, size: int, since: datetime) -> ProviderFile | None:
        """The newest file of this name and size that was created after `since`, less `MAX_CLOCK_SKEW`."""
        ...

    def list_files(self) -> list[ProviderFile]:
        """All training files of the account."""
        ...

    def delete_file(self, file_id: str) -> None: ...

    def file_name(self, file_id: str) -> str: ...

    def read_file(self, file_id: str) -> Iterator[bytes]: ...

    def create_upload(self, name: str, size: int, expiry: timedelta) -> str:
        """Begin an upload in parts. Returns its id."""
        ...

    def create_part(self, upload_id: str, data: BinaryIO) -> str:
        """Send the next part. Returns its id."""
        ...

    def complete_upload(self, upload_id: str, part_ids: list[str]) -> ProviderFile: ...

    def create_job(self, job: NewJob) -> ProviderJob:
        """Create a job that `find_jobs` can find afterwards, whatever becomes of the answer."""
        ...

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        """Jobs that were created for our job `job_id` after `since`, less `MAX_CLOCK_SKEW`; oldest first.

        How they are recognised is the provider's own: by metadata, by a suffix, by an id that we chose, or by the
        provider's id of `training_file`, which no other create has named if the capabilities say `is_file_the_mark`.
        """
        ...

    def job_pages(self) -> Iterator[list[ProviderJob]]:
        """All jobs of the account, newest first, page by page, so that a caller can stop.

        Only `id`, `status`, `created_at`, `estimated_finish` and the facts have to be set.
        """
        ...

    def list_jobs(self, since: datetime) -> list[ProviderJob]:
        """Jobs created after `since`, newest first."""
        ...

    def get_job(self, provider_job_id: str) -> ProviderJob: ...

    def cancel_job(self, provider_job_id: str) -> ProviderJob: ...

    def pause_job(self, provider_job_id: str) -> ProviderJob: ...

    def resume_job(self, provider_job_id: str) -> ProviderJob: ...

    def new_events(self, provider_job_id: str, last_seen: str | None) -> list[ProviderEvent]:
        """Events that came after the one with the id `last_seen`, or all; oldest first.

        Where others may come between those that were seen, all come again: the worker records an id once.
        """
        ...

    def checkpoints(self, provider_job_id: str) -> list[ProviderCheckpoint]:
        """Oldest first."""
        ...
