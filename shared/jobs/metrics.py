"""A job's training in numbers: the series of its metrics, thinned to what a chart can show, or all of them as CSV."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import islice, pairwise
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import ColumnElement, String, any_, func, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, col, select

from shared.jobs.models import JobEvent

LOSSES = ("train_loss", "valid_loss", "full_valid_loss")
RESULT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}
"""The columns of OpenAI's result file, and the metric that fills each."""

ROWS_PER_FETCH = 5_000
_data = col(JobEvent.data)


class MetricsPoint(BaseModel):
    """What the provider told of a step. Validation is not made at every step: then its numbers are null."""

    step: int
    train_loss: float | None
    valid_loss: float | None
    full_valid_loss: float | None
    train_mean_token_accuracy: float | None
    valid_mean_token_accuracy: float | None
    full_valid_mean_token_accuracy: float | None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "MetricsPoint":
        numbers = {name: _number(data.get(name)) for name in cls.model_fields}
        return cls.model_validate(numbers | {"step": int(data["step"])})


class JobMetrics(BaseModel):
    """The steps in their order; `total_points` is how many there are, of which `points` may be only some."""

    object: Literal["fine_tuning.job.metrics"] = "fine_tuning.job.metrics"
    job_id: str
    points: list[MetricsPoint]
    total_points: int


def thinned(session: Session, job_id: str, resolution: int) -> JobMetrics:
    """At most `resolution` points: the first, the last, and the lowest and highest of each loss in equal stretches."""
    told = [func.count(_data[name]) for name in LOSSES]
    facts = select(func.count(), func.min(JobEvent.id), func.max(JobEvent.id), *told).where(*_steps_of(job_id))
    total, first, last, *counts = session.execute(facts).one()
    query = select(JobEvent.data).where(*_steps_of(job_id)).order_by(JobEvent.id)
    if total > resolution:
        losses = [name for name, count in zip(LOSSES, counts, strict=True) if count]
        stretches = (resolution - 2) // (2 * len(losses) or 1)
        kept = _telling(session, job_id, losses, total, stretches) if stretches else set()
        query = query.where(col(JobEvent.id) == any_(literal([first, last, *kept], ARRAY(String))))
    points = [MetricsPoint.of(data) for data in session.exec(query) if data]
    return JobMetrics(job_id=job_id, points=points, total_points=total)


def _steps_of(job_id: str) -> tuple[ColumnElement[bool], ...]:
    """Whoever asks knows that the job may be seen."""
    is_step = func.jsonb_typeof(_data["step"]) == "number"
    return (col(JobEvent.job_id) == job_id, col(JobEvent.type) == "metrics", is_step)


def _telling(session: Session, job_id: str, losses: list[str], total: int, stretches: int) -> set[str | None]:
    """The ids of those with the extremes: read as columns, and some at a time, for there may be a hundred thousand."""
    query = select(JobEvent.id, *(_data[name].astext for name in losses)).where(*_steps_of(job_id))
    with session.execute(query.order_by(JobEvent.id), execution_options={"yield_per": ROWS_PER_FETCH}) as rows:
        return _extremes(iter(rows), total, stretches)


def _extremes(rows: Iterator[Sequence[str | None]], total: int, stretches: int) -> set[str | None]:
    """The ids of the rows with the lowest and the highest of each loss in each stretch."""
    found: set[str | None] = set()
    edges = [total * number // stretches for number in range(stretches + 1)]
    for start, end in pairwise(edges):
        ids, *losses = zip(*islice(rows, end - start), strict=True)
        for texts in losses:
            known = [(loss, id) for text, id in zip(texts, ids, strict=True) if (loss := _number(text)) is not None]
            if known:
                found |= {min(known)[1], max(known)[1]}
    return found


def _number(told: Any) -> float | None:
    """Providers are read leniently: what is no number is as if it had not been told."""
    if told is None:
        return None
    try:
        number = float(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def result_rows(session: Session, job_id: str, after: str) -> list[tuple[str, list[str]]]:
    """The next `ROWS_PER_FETCH` rows of the result as they were told, each with the id of its event, to go on after."""
    query = select(JobEvent.id, *(_data[name].astext for name in RESULT_COLUMNS.values())).where(*_steps_of(job_id))
    rows = session.execute(query.where(JobEvent.id > after).order_by(JobEvent.id).limit(ROWS_PER_FETCH))
    return [(id, [text if _number(text) is not None else "" for text in texts]) for id, *texts in rows]


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    lines = StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def last_point(session: Session, job_id: str) -> MetricsPoint | None:
    """Of the last step, and of the last validation where that one was not validated."""
    query = select(JobEvent.data).where(*_steps_of(job_id)).order_by(col(JobEvent.id).desc())
    last = session.exec(query.limit(1)).first()
    if last is None:
        return None
    validated = session.exec(query.where(func.jsonb_typeof(_data["valid_loss"]) == "number").limit(1)).first()
    return MetricsPoint.of({**last, "valid_loss": (validated or last).get("valid_loss")})
