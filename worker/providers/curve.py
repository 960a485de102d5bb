"""A job's metrics as the table that is its result at OpenAI."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.jobs.metrics import RESULT_COLUMNS, csv_lines


def table(found: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The metrics of each step, by OpenAI's names, line by line."""
    yield csv_lines([RESULT_COLUMNS]).encode()
    for metrics in found:
        yield csv_lines([[str(metrics.get(name, "")) for name in RESULT_COLUMNS.values()]]).encode()
