"""Reads a job's training metrics: a series reduced to what a chart can show, or all steps as CSV."""

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

from shared.jobs.models import Job, JobEvent

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
CURVE_POINTS = 40
_data = col(JobEvent.data)


class MetricsPoint(BaseModel):
    """The metrics of one step. Those of validation are null at steps without one."""

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
    """The steps in order. `total_points` counts all of them; `points` may have fewer (`resolution`)."""

    object: Literal["fine_tuning.job.metrics"] = "fine_tuning.job.metrics"
    job_id: str
    points: list[MetricsPoint]
    total_points: int


def note(job: Job, found: Iterable[Mapping[str, Any]]) -> None:
    """Keep in the job what lists show of its metrics: the lowest validation losses, and a few points of `train_loss`.

    `found` are the data of new metrics events. Of each interval of steps the first point stays, and the last of all.
    """
    points = [MetricsPoint.of(data) for data in found if isinstance(data.get("step"), int | float)]
    if not points:
        return
    known = job.loss_summary
    curve = {int(step): loss for step, loss in known.get("train_loss", [])}
    curve |= {point.step: point.train_loss for point in points if point.train_loss is not None}
    last = max([*curve, 1])
    kept = {step * CURVE_POINTS // last: (step, curve[step]) for step in sorted(curve, reverse=True)}
    summary: dict[str, Any] = {"train_loss": sorted(kept.values())}
    for name in ("valid_loss", "full_valid_loss"):
        values = [known.get(name), *(getattr(point, name) for point in points)]
        summary[name] = min((value for value in values if value is not None), default=None)
    job.loss_summary = summary


def best_valid_loss(job: Job) -> float | None:
    """Return the lowest loss on the whole validation file; before the first of these, the lowest on a part of it."""
    full: float | None = job.loss_summary.get("full_valid_loss")
    return full if full is not None else job.loss_summary.get("valid_loss")


def thinned(session: Session, job_id: str, resolution: int) -> JobMetrics:
    """Return at most `resolution` points: the first, the last, and each loss's extremes in equal intervals."""
    loss_counts = [func.count(_data[name]) for name in LOSSES]
    facts = select(func.count(), func.min(JobEvent.id), func.max(JobEvent.id), *loss_counts).where(*_steps_of(job_id))
    total, first, last, *counts = session.execute(facts).one()
    query = select(JobEvent.data).where(*_steps_of(job_id)).order_by(JobEvent.id)
    if total > resolution:
        losses = [name for name, count in zip(LOSSES, counts, strict=True) if count]
        intervals = (resolution - 2) // (2 * len(losses) or 1)
        kept = _extreme_ids(session, job_id, losses, total, intervals) if intervals else set()
        query = query.where(col(JobEvent.id) == any_(literal([first, last, *kept], ARRAY(String))))
    points = [MetricsPoint.of(data) for data in session.exec(query) if data]
    return JobMetrics(job_id=job_id, points=points, total_points=total)


def _steps_of(job_id: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for a job's metrics events. The caller has checked that the job is the project's own."""
    is_step = func.jsonb_typeof(_data["step"]) == "number"
    return (col(JobEvent.job_id) == job_id, col(JobEvent.type) == "metrics", is_step)


def _extreme_ids(session: Session, job_id: str, losses: list[str], total: int, intervals: int) -> set[str | None]:
    """Return the ids to keep. Reads columns in batches, not entities, since there may be 100,000 steps."""
    query = select(JobEvent.id, *(_data[name].astext for name in losses)).where(*_steps_of(job_id))
    with session.execute(query.order_by(JobEvent.id), execution_options={"yield_per": ROWS_PER_FETCH}) as rows:
        return _extremes(iter(rows), total, intervals)


def _extremes(rows: Iterator[Sequence[str | None]], total: int, intervals: int) -> set[str | None]:
    """Return the ids of the rows with the lowest and the highest value of each loss in each interval."""
    found: set[str | None] = set()
    edges = [total * number // intervals for number in range(intervals + 1)]
    for start, end in pairwise(edges):
        ids, *losses = zip(*islice(rows, end - start), strict=True)
        for texts in losses:
            known = [(loss, id) for text, id in zip(texts, ids, strict=True) if (loss := _number(text)) is not None]
            if known:
                found |= {min(known)[1], max(known)[1]}
    return found


def _number(value: Any) -> float | None:
    """Return a provider's value as a finite number; None if it is not one, so that an odd value breaks no chart."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def result_rows(
    session: Session, job_id: str, after: str, columns: Iterable[str] = RESULT_COLUMNS.values()
) -> list[tuple[str, list[str]]]:
    """Return the next `ROWS_PER_FETCH` rows of the result file, each with its event's id, which is the next `after`."""
    query = select(JobEvent.id, *(_data[name].astext for name in columns)).where(*_steps_of(job_id))
    rows = session.execute(query.where(JobEvent.id > after).order_by(JobEvent.id).limit(ROWS_PER_FETCH))
    return [(id, [text if _number(text) is not None else "" for text in texts]) for id, *texts in rows]


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    lines = StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def last_point(session: Session, job_id: str) -> MetricsPoint | None:
    """Return the last step; if it has no `valid_loss`, with that of the last step that has one."""
    query = select(JobEvent.data).where(*_steps_of(job_id)).order_by(col(JobEvent.id).desc())
    last = session.exec(query.limit(1)).first()
    if last is None:
        return None
    validated = session.exec(query.where(func.jsonb_typeof(_data["valid_loss"]) == "number").limit(1)).first()
    return MetricsPoint.of({**last, "valid_loss": (validated or last).get("valid_loss")})
