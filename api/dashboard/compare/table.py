"""The table of a comparison: the losses, duration and cost of each job, and the parameters in which they differ."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.dashboard import formats, job_facts
from api.dashboard.compare.selection import Column
from shared.db.times import epoch, utc_now
from shared.jobs.schemas import JobPublic
from shared.overview.side_by_side import AtStep, Losses

_LOSS_NAMES = {
    "valid_loss": "validation loss",
    "full_valid_loss": "full validation loss",
    "train_loss": "training loss",
}


@dataclass(frozen=True)
class Cell:
    text: str
    note: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    label: str
    cells: list[Cell]


@dataclass(frozen=True)
class Differences:
    """The parameters that are not the same for all jobs, each with its values; and how many are."""

    rows: list[tuple[str, list[str]]]
    same: int


def results(columns: Sequence[Column], losses: Mapping[str, Mapping[str, Losses]], at_step: int | None) -> list[Row]:
    """Return a row for each loss that some job has, and for what each job took. `losses`: by job and by curve."""
    rows: list[Row] = []
    for name, label in _LOSS_NAMES.items():
        curves = [losses[each.job.id].get(name) for each in columns]
        if any(curves):
            rows += _loss_rows(label, curves, at_step)
    jobs = [each.job for each in columns]
    took = [Cell(formats.duration(seconds(job)), "" if job.finished_at else "so far") for job in jobs]
    tokens = [Cell(formats.number(job.trained_tokens)) for job in jobs]
    return [*rows, Row("Duration", took), Row("Cost", [_cost(job) for job in jobs]), Row("Trained tokens", tokens)]


def _loss_rows(label: str, curves: Sequence[Losses | None], at_step: int | None) -> Iterable[Row]:
    yield _loss_row(f"Best {label}", [each and each.best for each in curves])
    yield _loss_row(f"Last {label}", [each and each.last for each in curves])
    if at_step is not None:
        asked = f"{label.capitalize()} at step {formats.number(at_step)}"
        yield _loss_row(asked, [each and each.chosen for each in curves])


def _loss_row(label: str, found: Sequence[AtStep | None]) -> Row:
    known = {each.loss for each in found if each}
    lowest = min(known) if len(known) > 1 else None
    return Row(label, [_loss(each, lowest) for each in found])


def _loss(found: AtStep | None, lowest: float | None) -> Cell:
    if found is None:
        return Cell(formats.NONE)
    return Cell(formats.significant(found.loss), f"step {formats.number(found.step)}", found.loss == lowest)


def _cost(job: JobPublic) -> Cell:
    if job.cost:
        return Cell(formats.money(job.cost))
    if job.estimated_cost and not job.status.is_final:  # afterwards it would pass for what was charged
        return Cell(f"≈ {formats.money(job.estimated_cost)}", "estimated")
    return Cell(formats.NONE)


def seconds(job: JobPublic) -> int:
    """Return how long a job has taken since it was accepted."""
    return (job.finished_at or epoch(utc_now())) - job.created_at


def parameters(job: JobPublic) -> dict[str, str]:
    """Return what was asked for, by its name on the wire, as texts; without the suffix, which is the job's name."""
    method = job.method or {}
    block = method.get(method.get("type", "")) or {}
    asked: dict[str, Any] = {
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        **job_facts.settings(job),
        **{name: value for name, value in block.items() if name != "hyperparameters"},
        **(block.get("hyperparameters") or {}),
        "provider": job.provider,
    }
    return {name: _text(value) for name, value in asked.items() if value is not None and name != "suffix"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def differences(jobs: Sequence[JobPublic]) -> Differences:
    asked = [parameters(job) for job in jobs]
    names = dict.fromkeys(name for each in asked for name in each)
    rows = [(name, [each.get(name, "") for each in asked]) for name in names]
    differing = [(name, values) for name, values in rows if len(set(values)) > 1]
    return Differences(differing, len(rows) - len(differing))
