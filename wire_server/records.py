"""OpenAI's objects as a provider keeps them, with exactly the fields of the wire."""

import secrets
import string
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from wire_server.training_file import Contents

FINAL = frozenset({"succeeded", "failed", "cancelled"})
ACTIVE = frozenset({"validating_files", "queued", "running"})
"""The statuses that take one of a model's slots; a paused job frees its slot."""

_SUFFIX_LETTERS = frozenset(string.ascii_lowercase + string.digits + "-_.")
_LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """An id such as `ftjob-…`: the prefix and random letters and digits."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


def new_model_name(job: "Job", base: str) -> str:
    """`ft:{base}:{organization}:{suffix}:{8 characters}`; a suffix is lower case, and `-` replaces odd characters."""
    suffix = (job.user_provided_suffix or "").lower()
    safe = "".join(letter if letter in _SUFFIX_LETTERS else "-" for letter in suffix)
    return f"ft:{base}:{job.organization_id.removeprefix('org-')}:{safe}:{new_id('', 8)}"


class FileObject(Struct, kw_only=True):
    """A file. `expires_at` is left out of the answer unless an expiry was asked for."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    expires_at: int | UnsetType = UNSET
    filename: str
    purpose: str
    status: str | None = "processed"


class StoredFile(Struct, kw_only=True):
    """A file object, where its bytes lie, and what was found in it if it is for training."""

    file: FileObject
    path: Path
    contents: Contents | None = None

    def has_expired(self, now: float) -> bool:
        return isinstance(self.file.expires_at, int) and self.file.expires_at <= now


class Upload(Struct, kw_only=True):
    """A file that is being sent in parts. `expires_at` is the upload's own, an hour from its creation."""

    id: str
    object: str = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str = "pending"
    expires_at: int
    file: FileObject | None = None


class UploadPart(Struct, kw_only=True):
    id: str
    object: str = "upload.part"
    created_at: int
    upload_id: str


class JobError(Struct, kw_only=True):
    """Why a job failed. `param` is the field of the create call that caused it, if any."""

    code: str
    message: str
    param: str | None = None


class Job(Struct, kw_only=True):
    """A fine-tuning job, with the three fields that OpenAI returns beyond its schema.

    `error` is null and `hyperparameters` an object even where OpenAI sends `{}` and null, which its own SDK refuses.
    """

    id: str
    object: str = "fine_tuning.job"
    created_at: int
    error: JobError | None = None
    fine_tuned_model: str | None = None
    finished_at: int | None = None
    hyperparameters: dict[str, Any]
    model: str
    organization_id: str
    result_files: list[str]
    status: str = "validating_files"
    trained_tokens: int | None = None
    training_file: str
    validation_file: str | None = None
    seed: int
    integrations: list[dict[str, Any]]
    estimated_finish: int | None = None
    method: dict[str, Any]
    metadata: dict[str, str] | None = None
    user_provided_suffix: str | None = None
    usage_metrics: None = None
    shared_with_openai: bool = False


class JobEvent(Struct, kw_only=True):
    """One line of a job's log. `data` has the numbers if `type` is `metrics`."""

    id: str
    object: str = "fine_tuning.job.event"
    created_at: int
    level: str = "info"
    message: str
    type: str = "message"
    data: dict[str, Any] | None = None


class Checkpoint(Struct, kw_only=True):
    """The model as it was at the end of an epoch, or where a job was paused."""

    id: str
    object: str = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, float]
    step_number: int


class Model(Struct, kw_only=True):
    """A model. `shutdown_date` is YYYY-MM-DD, or null while none is announced."""

    id: str
    object: str = "model"
    created: int
    owned_by: str
    shutdown_date: str | None = None


class TunedModel(Struct, kw_only=True):
    """A model that a job made, and its base model's name."""

    model: Model
    base: str
