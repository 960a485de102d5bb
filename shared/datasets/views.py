"""A dataset as `/v1/datasets` shows it: the file's facts beside what the check has found."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.prices import Estimate
from shared.datasets.sources import Split
from shared.datasets.validation.findings.problem import Problem
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.overlap import Overlap
from shared.db.pages import Listed
from shared.db.times import epoch
from shared.json_fields import JsonObject, Metadata

State = Literal["uploaded", "checking", "processed", "error"]


class DatasetCreate(BaseModel):
    """From one of: a file already uploaded (`file_id`), `examples` written into the request, or an https `url`.

    `split` makes two more datasets of it, for training and for validation, once it has passed its check.
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
            raise ValueError("give one of file_id, examples and url")
        return self


class DatasetPublic(Listed):
    """`id` is the file's, to be named in a job. `report` is null until the first check has ended.

    `status` is `uploaded`, `checking`, `processed` or `error`. `progress` (0–1) is how far a check, or a count of the
    tokens, is; null while none is under way. `tokens_counted` tells whether the statistics have
    tokens yet: the structure is checked first. `counts` are all problems by code; `errors` lists them.
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
    """One thing that is wrong. `line` counts from 1, `offset` is the line's in bytes, `path` leads into its JSON."""

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
    """How many of the `compared` examples of `id` are in `other` too, to the letter or nearly; the first 1,000 of them.

    `complete` is false if the files are so large that only their beginnings were compared.
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


class EstimatePublic(BaseModel):
    """What a training would cost. `amount` is an exact decimal as a text; null, with a `reason`, if it is not known.

    `tokens` are those of one epoch, as far as the model reads them; `billed_tokens` those of all epochs.
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
    reason: str | None
    assumptions: list[str]
    allowed: bool

    @classmethod
    def of(cls, dataset_id: str, found: Estimate) -> "EstimatePublic":
        return cls(id=dataset_id, **msgspec.to_builtins(found))
