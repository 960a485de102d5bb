"""Reads Nebius' jobs and checkpoints: our mark in a suffix, the name of a model that has none yet, and its progress.

A job there tells few events and no step. What it shows instead (`trained_steps`, and the metrics of a checkpoint for
each epoch) becomes events whose ids are the same at each look.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from shared.jobs.models import Job, JobStatus
from worker.providers import sanitize
from worker.providers.made_events import message, metrics
from worker.providers.openai import parsing
from worker.providers.protocol import Mark, ProviderCheckpoint, ProviderEvent, ProviderJob

_MARK = "tj"
PROGRESS_EVENTS = 20  # of a job at most: one for each twentieth of its steps


def marked(suffix: str | None, mark: Mark) -> str:
    """The suffix that is sent: the caller's, and our id behind it."""
    tail = f"{_MARK}{mark.job_id.removeprefix(Job.id_prefix)}"
    return f"{suffix}-{tail}" if suffix else tail


def mark_of(raw: dict[str, Any]) -> Mark | None:
    """By metadata if it was kept, else by the suffix."""
    metadata = parsing.mark(parsing.metadata_of(raw))
    tail = _parts(raw)[1]
    return metadata or (Mark(f"{Job.id_prefix}{tail}", None, None) if tail else None)


def _parts(raw: dict[str, Any]) -> tuple[str, str]:
    """The caller's part of the suffix, and our tail; each is empty if there is none."""
    suffix = sanitize.some_text(raw.get("suffix")) or ""
    own, _, last = suffix.rpartition("-")
    return (own, last.removeprefix(_MARK)) if last.startswith(_MARK) else (suffix, "")


def job(answer: object, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    raw = parsing.json_object(answer)
    read = parsing.job(raw, statuses)
    return replace(read, mark=mark_of(raw), fine_tuned_model=_model(raw, read))


def summary(answer: object, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    raw = parsing.json_object(answer)
    read = parsing.summary(raw, statuses)
    return replace(read, fine_tuned_model=_model(raw, read))


def _model(raw: dict[str, Any], read: ProviderJob) -> str | None:
    """A job that has succeeded gets a name for its model: Nebius gives one when it is deployed."""
    return model_name(raw) if read.status is JobStatus.SUCCEEDED else read.fine_tuned_model


def model_name(raw: dict[str, Any]) -> str:
    base = sanitize.some_text(raw.get("model")) or "model"
    organization = (sanitize.some_text(raw.get("organization_id")) or "nebius").removeprefix("org-")
    return f"ft:{base}:{organization}:{_parts(raw)[0]}:{parsing.id_of(raw)[-8:]}"


def steps_of(raw: dict[str, Any]) -> tuple[int, int]:
    """How many steps are trained, and how many there are."""
    done, total = (sanitize.number(raw.get(name), 0) or 0 for name in ("trained_steps", "total_steps"))
    return min(done, total), total


def checkpoint(raw: dict[str, Any], model: str) -> ProviderCheckpoint | None:
    """None for one without an id or a step. `model` is the job's: a checkpoint has a name only once it is deployed."""
    step = sanitize.number(raw.get("step_number"))
    if not sanitize.is_id(raw.get("id")) or step is None:
        return None
    return parsing.checkpoint({"fine_tuned_model_checkpoint": f"{model}:ckpt-step-{step}", **_given(raw)})


def _given(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if value is not None}


def progress(done: int, total: int, saved: Iterable[ProviderCheckpoint]) -> list[ProviderEvent]:
    """Events that say a step, and those of checkpoints, in the order of their steps."""
    steps = {math.ceil(total * number / PROGRESS_EVENTS) for number in range(1, PROGRESS_EVENTS + 1)}
    told = [(step, 0, _step(step, total)) for step in steps if 0 < step <= done]
    told += [(each.step_number, 1, _saved(each, total)) for each in saved]
    return [event for *_, event in sorted(told, key=lambda each: (*each[:2], each[2].id))]


def _step(step: int, total: int) -> ProviderEvent:
    return message(f"step-{step}", f"Step {step}/{total}", data={"step": step, "total_steps": total})


def _saved(saved: ProviderCheckpoint, total: int) -> ProviderEvent:
    """Its metrics, if it has those that a chart needs."""
    data = {**saved.metrics, "step": saved.step_number, "total_steps": total}
    if isinstance(data.get("train_loss"), int | float):
        return metrics(saved.id, data, saved.created_at, saves_checkpoint=True)
    text = f"Step {saved.step_number}/{total}: a checkpoint was saved"
    return message(saved.id, text, saved.created_at, data, saves_checkpoint=True)
