"""docs/reference/metrics.md has a row for each metric: its name, its type and its labels."""

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from shared.metrics import instruments
from worker.runtime.gauges import GAUGES

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "metrics.md").read_text()
INSTRUMENTS = [each for each in vars(instruments).values() if isinstance(each, MetricWrapperBase)]


def rows() -> Iterator[tuple[str, str, str]]:
    for each in [*INSTRUMENTS, *GAUGES.values()]:
        [family] = each.describe()
        total = "_total" if family.type == "counter" else ""
        yield family.name + total, family.type, ", ".join(f"`{label}`" for label in each._labelnames)
    yield "tunery_sweep_age_seconds", "gauge", ""  # made at each scrape


def test_each_metric_has_a_row_that_says_what_it_means() -> None:
    written = re.findall(r"^\| `(tunery_\w+)` \| (\w+) \| (.*?) ?\| [A-Z1][^|]{20,}\.[^|]* \|$", PAGE, re.MULTILINE)
    missing = [
        f"add to docs/reference/metrics.md: | `{name}` | {kind} | {labels} | … |" for name, kind, labels in rows()
    ]
    assert [row for row in missing if row.split("`")[1] not in {name for name, _, _ in written}] == []
    assert sorted(written) == sorted(rows())


def test_each_metric_of_a_process_has_a_label_and_so_no_value_before_the_processes_share_them() -> None:
    assert len(INSTRUMENTS) > 10
    assert [each for each in INSTRUMENTS if not each._labelnames] == []


def test_no_label_names_a_project_or_a_key() -> None:
    labels = {label for each in [*INSTRUMENTS, *GAUGES.values()] for label in each._labelnames}
    assert [label for label in labels if re.search("project|key|user|credential|path|(^|_)id$", label)] == []
