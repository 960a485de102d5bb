"""Makes one series of a job's events and its metrics, which the wire keeps apart, and gives each an id.

An event has no id there. It gets one of what it says, and metrics get one of their step, so that each has the same id
at every look.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from shared.jobs.models import Level
from worker.providers import made_events, sanitize
from worker.providers.protocol import ProviderCheckpoint, ProviderEvent
from worker.providers.together.parsing import word

MAX_METRICS_OF_A_STEP = 40
MAX_METRIC = 1e300  # NaN and infinity, which no JSON can hold, are not below it
_STEP = "train/global_step"
_LEVELS = {
    "warning": Level.WARN,
    "legacy_iwarning": Level.WARN,
    "error": Level.ERROR,
    "legacy_ierror": Level.ERROR,
}
_AFTER_TRAINING = {
    "training_complete",
    "early_stopped",
    "model_compressing",
    "model_compression_complete",
    "model_uploading",
    "model_upload_complete",
    "job_complete",
    "job_error",
    "job_user_error",
    "job_stopped",
    "billing_limit",
    "refund",
}
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def series(raw_events: list[dict[str, Any]], raw_metrics: object) -> list[ProviderEvent]:
    """All events of a job, oldest first. Metrics have no time of their own: they get that of the event before them."""
    events = _events(raw_events)
    total = max((step for event in events if (step := _number(event, "total_steps"))), default=None)
    waiting, merged = _metrics(raw_metrics, total), list[ProviderEvent]()
    for event in events:
        last = math.inf if (event.data or {}).get("type") in _AFTER_TRAINING else _number(event, "step") or 0
        while waiting and (_number(waiting[0], "step") or 0) <= last:
            merged.append(_at_time_of_last(waiting.pop(0), merged))
        merged.append(event)
    for each in waiting:
        merged.append(_at_time_of_last(each, merged))
    return merged


def _number(event: ProviderEvent, name: str) -> int | None:
    return (event.data or {}).get(name)


def _at_time_of_last(event: ProviderEvent, earlier: list[ProviderEvent]) -> ProviderEvent:
    return replace(event, created_at=earlier[-1].created_at if earlier else None)


def _events(raws: list[dict[str, Any]]) -> list[ProviderEvent]:
    told = Counter[str]()
    times = ((sanitize.moment(raw.get("created_at")), raw) for raw in raws)
    timed = sorted(times, key=lambda pair: pair[0] or _EARLIEST)
    return [_event(raw, made_at, told) for made_at, raw in timed]


def _event(raw: dict[str, Any], made_at: datetime | None, told: Counter[str]) -> ProviderEvent:
    kind = word(raw.get("type")) or "message"
    message = sanitize.some_text(raw.get("message")) or kind
    says = repr([kind, raw.get("step"), raw.get("created_at"), message])
    told[says] += 1  # two that say the same in the same moment are two
    numbers = {name: sanitize.number(raw.get(name), bits=32) for name in ("step", "total_steps")}
    return made_events.message(
        sha256(f"{says}{told[says]}".encode("utf-8", "replace")).hexdigest()[:32],
        message,
        made_at,
        {"type": kind} | {name: number for name, number in numbers.items() if number},
        level=_LEVELS.get(word(raw.get("level")), Level.INFO),
        saves_checkpoint=kind in {"checkpoint_save", "job_complete"},
    )


def _metrics(raw_metrics: object, total: int | None) -> list[ProviderEvent]:
    """By step. The metrics of a validation are an event of their own: they may come later than those of its step."""
    found: dict[str, ProviderEvent] = {}
    for step, kind, values in _steps(raw_metrics):
        data = {"step": step, **({"total_steps": total} if total else {}), **values}
        found[f"step-{step}-{kind}"] = made_events.metrics(f"step-{step}-{kind}", data)
    return sorted(found.values(), key=lambda event: (event.data or {})["step"])


def _steps(raw_metrics: object) -> Iterator[tuple[int, str, dict[str, float]]]:
    """The step, `train` or `valid`, and the metrics by OpenAI's names."""
    for raw in raw_metrics if isinstance(raw_metrics, list) else ():
        step = sanitize.number(raw.get(_STEP)) if isinstance(raw, dict) else None
        if step is None:
            continue
        numbers = ((name, value) for name, value in raw.items() if _is_metric(name, value))
        values = {_our_name(name): value for name, value in list(numbers)[:MAX_METRICS_OF_A_STEP]}
        for kind in ("train", "valid"):
            of_kind = {name: value for name, value in values.items() if name.startswith("valid_") == (kind == "valid")}
            if of_kind:
                yield step, kind, of_kind


def _is_metric(name: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_METRIC
    return name != _STEP and is_number


def _our_name(name: str) -> str:
    """`train/loss` is OpenAI's `train_loss`, and `eval/loss` its `valid_loss`."""
    kind, _, rest = sanitize.text(name)[:100].partition("/")
    return f"{'valid' if kind == 'eval' else kind}_{rest}" if rest else kind


def checkpoints(job_id: str, raws: Iterable[dict[str, Any]], raw_metrics: object) -> list[ProviderCheckpoint]:
    """Oldest first. `{job}:{step}` is the name by which a job can continue from one, and the path is none to use.

    A step may be there twice, as a model and as an adapter.
    """
    steps = sorted(_steps(raw_metrics), key=lambda each: each[0])
    found: dict[int, ProviderCheckpoint] = {}
    for raw in raws:
        number = sanitize.number(raw.get("step"))
        if number is None:
            continue
        values: dict[str, Any] = {"step": number}
        for step, _, metrics in steps:
            if step <= number:
                values |= metrics
        name = f"{job_id}:{number}"
        found.setdefault(number, ProviderCheckpoint(name, sanitize.moment(raw.get("created_at")), name, number, values))
    return [found[number] for number in sorted(found)]
