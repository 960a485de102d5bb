"""A job that kills the process of its step, over and over: how often, and what others notice of it."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.outages import Bench

POISON, RUNS = "poison", "POISON_RUNS"  # the job's suffix; the variable that names the file with a byte for each run
SOONER = {"TUNERY_LEASE": "15", "TUNERY_CREATE_GRACE": "5", "TUNERY_PROVIDER__TIMEOUT": "2"}


def poisoned(bench: "Bench") -> list[tuple[str, str, str]]:
    """With a third of the usual lease, and hardly any grace: it is over sooner, and others notice more of it."""
    with tempfile.TemporaryDirectory() as folder:
        (runs := Path(folder) / "runs").touch()
        with bench.another_worker("benchmarks.poison", variables=SOONER | {RUNS: str(runs)}):
            alone = sorted(_took(bench) for _ in range(1700))
            poison, beside = bench.create(suffix=POISON), []
            while (job := bench.client.fine_tuning.jobs.retrieve(poison)).status != "failed":
                beside.append(_took(bench))
            count = len(runs.read_text())
    code = job.error.code if job.error else "no error"
    others = f"{in_words(sorted(beside))}; without {in_words(alone)}"
    return [
        ("a job that kills its process (lease 15 s): runs", "≤ 5, then a reason", f"{count}, then {code}"),
        ("other jobs meanwhile: create → at the provider", "p99 within 20 %", others),
    ]


def _took(bench: "Bench") -> float:
    """The milliseconds from a create to its end, and on to the provider."""
    started = time.monotonic()
    bench.arrived(bench.create(), every=0.005)
    return (time.monotonic() - started) * 1000


def in_words(took: list[float]) -> str:
    """Of milliseconds, in order."""
    return f"p99 {took[int(len(took) * 0.99)]:.0f} ms, median {statistics.median(took):.0f} ms of {len(took)}"
