"""The bodies of `/v1/datasets`: a dataset with the results of its check, its problems, comparisons and estimates."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.pricing.estimate import Estimate
from shared.datasets.sources import Split
from shared.datasets.validation.findings.problem import Problem
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.overlap import Overlap
from shared.db.pages import Listed
from shared.db.times import epoch
from shared.json_fields import JsonObject, Metadata

State = Literal["uploaded", "checking", "processed", "error"]


class DatasetCreate(BaseModel):
    """Exactly one source: an uploaded file (`file_id`), `examples` in the request, or an https `url`.

    `split` also creates two datasets, for training and for validation, filled once the check has succeeded.
    """

    model_config = ConfigDict(extra="forbid")

    file_id: Annotated[str | None, Field(max_length=64)] = None
    examples: Annotated[list[JsonObject] | None, Field(min_length=1)] = None
    url: Annotated[str | None, Field(min_length=1, max_length=2048)] = None
    name: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    metadata: Metadata | None = None
    split: Split | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> "DatasetCreate":
        if sum(source is not None for source in (self.file_id, self.examples, self.url)) != 1:
            raise ValueError("give exactly one of file_id, examples and url")
        return self


class DatasetPublic(Listed):
    """A dataset. `id` is the id of its file, which a job names. `valid` and `format` are null until it is checked.

    `status` is `uploaded`, `checking`, `processed` or `error`. `progress` (0 to 1) is that of a running check or token
    count, else null. The structure is checked first; `tokens_counted` says whether `statistics` contains tokens yet.
    `counts` are the problems by code; `/v1/datasets/{id}/errors` lists them. Only a retrieved dataset has `statistics`,
    `training_dataset`, `validation_dataset` and `jobs`.
    """

    object: Literal["dataset"] = "dataset"
    created_at: int
    name: str | None
    filename: str
    bytes: int
    sha256: str | None
    status: State
    status_details: str | None
    progress: float | None
    source: dict[str, Any] | None
    metadata: dict[str, str] | None
    valid: bool | None
    format: str | None
    examples: int | None
    counts: dict[str, int]
    tokens_counted: bool
    statistics: dict[str, Any] | None
    training_dataset: str | None = None
    validation_dataset: str | None = None
    jobs: list[str] | None = None

    @classmethod
    def of(cls, row: Dataset, report: Report | None, statistics: dict[str, Any] | None = None) -> "DatasetPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            name=row.name,
            filename=row.filename,
            bytes=row.bytes,
            sha256=row.sha256 or None,
            status=_state(row),
            status_details=row.status_details,
            progress=row.check_progress,
            source=row.source,
            metadata=row.labels,
            valid=report.valid if report else None,
            format=report.format if report else None,
            examples=report.examples if report else None,
            counts=report.counts if report else {},
            tokens_counted=report is not None and report.encoding is not None,
            statistics=statistics,
        )


def _state(row: Dataset) -> State:
    match row.status:
        case DatasetStatus.UPLOADED:
            return "checking" if row.failures else "uploaded"
        case DatasetStatus.PROCESSED:
            return "processed"
        case _:
            return "error"


class ProblemPublic(Listed):
    """One problem. `line` counts from 1, `offset` is where the line starts in bytes, `path` is the path in its JSON."""

    object: Literal["dataset.problem"] = "dataset.problem"
    code: str
    severity: Literal["error", "warning"]
    message: str
    hint: str | None
    line: int | None
    offset: int | None
    path: str | None

    @classmethod
    def of(cls, number: int, problem: Problem) -> "ProblemPublic":
        return cls(
            id=f"problem_{number}",
            code=problem.code,
            severity=problem.severity.value,
            message=problem.message,
            hint=problem.hint,
            line=problem.line,
            offset=problem.offset,
            path=problem.path,
        )


class Overlapping(BaseModel):
    """How many of the `compared` examples of `id` also occur in `other`.

    `exact` counts equal ones, `near` those that differ a little; `examples` has the first 1,000 of both. `complete` is
    false if the files are so large that only their beginnings were compared.
    """

    object: Literal["dataset.comparison"] = "dataset.comparison"
    id: str
    other: str
    compared: int
    exact: int
    near: int
    complete: bool
    examples: list[ProblemPublic]

    @classmethod
    def of(cls, dataset_id: str, other_id: str, found: Overlap) -> "Overlapping":
        examples = [ProblemPublic.of(number, each) for number, each in enumerate(found.problems)]
        return cls(
            id=dataset_id,
            other=other_id,
            compared=found.examples,
            exact=found.exact,
            near=found.near,
            complete=found.complete,
            examples=examples,
        )


class EstimateProblem(BaseModel):
    """A job of this model, method and file is refused for an `error`, with this `code`, made despite a `warning`."""

    severity: Literal["error", "warning"]
    code: str
    param: Literal["model", "method", "training_file"]
    message: str


class EstimatePublic(BaseModel):
    """What a training would cost. `amount` is a decimal as a string; null if unknown, and `reason` says why.

    `tokens` counts one epoch, without what exceeds the model's limit per example; `billed_tokens` counts all epochs.
    """

    object: Literal["dataset.estimate"] = "dataset.estimate"
    id: str
    provider: str
    model: str
    base: str | None
    method: str
    examples: int
    tokens: int | None
    epochs: int
    epochs_chosen_by: Literal["request", "auto"]
    billed_tokens: int | None
    amount: str | None
    currency: str | None
    price_per_million_tokens: str | None
    price_since: str | None
    price_as_of: str | None
    price_source: str | None
    price_confidence: Literal["published", "reported", "own"] | None
    reason: str | None
    assumptions: list[str]
    allowed: bool
    problems: list[EstimateProblem] = []

    @classmethod
    def of(cls, dataset_id: str, found: Estimate) -> "EstimatePublic":
        return cls(id=dataset_id, **msgspec.to_builtins(found))


class EstimateList(BaseModel):
    """What the same training would cost elsewhere: the models that fit first, the cheapest before others."""

    object: Literal["list"] = "list"
    data: list[EstimatePublic]
