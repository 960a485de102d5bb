"""Events that a client makes of what a provider shows in other ways: a later look makes the same, by the same ids."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.jobs.models import Level
from worker.providers.protocol import ProviderEvent


def message(
    id: str,
    text: str,
    at: datetime | None = None,
    data: dict[str, Any] | None = None,
    *,
    level: Level = Level.INFO,
    saves_checkpoint: bool = False,
) -> ProviderEvent:
    return ProviderEvent(id, at, level, "message", text, data, saves_checkpoint)


def metrics(
    id: str, data: dict[str, Any], at: datetime | None = None, *, saves_checkpoint: bool = False
) -> ProviderEvent:
    """`data` has `step` and metrics by OpenAI's names."""
    return ProviderEvent(id, at, Level.INFO, "metrics", _sentence(data), data, saves_checkpoint)


def _sentence(metrics: Mapping[str, Any]) -> str:
    total = metrics.get("total_steps")
    shown = {"training loss": metrics.get("train_loss"), "validation loss": metrics.get("valid_loss")}
    numbers = ", ".join(f"{name}={value:.2f}" for name, value in shown.items() if isinstance(value, int | float))
    return f"Step {metrics['step']}{f'/{total}' if total else ''}: {numbers or 'metrics'}"
