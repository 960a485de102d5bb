"""A job's metrics as OpenAI tells them: the table that is a job's result, and the sentence of an event."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.jobs.metrics import RESULT_COLUMNS, csv_lines


def table(found: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The metrics of each step, by OpenAI's names, line by line."""
    yield csv_lines([RESULT_COLUMNS]).encode()
    for metrics in found:
        yield csv_lines([[str(metrics.get(name, "")) for name in RESULT_COLUMNS.values()]]).encode()


def sentence(metrics: Mapping[str, Any]) -> str:
    total = metrics.get("total_steps")
    shown = {"training loss": metrics.get("train_loss"), "validation loss": metrics.get("valid_loss")}
    numbers = ", ".join(f"{name}={value:.2f}" for name, value in shown.items() if value is not None)
    return f"Step {metrics['step']}{f'/{total}' if total else ''}: {numbers or 'metrics'}"
