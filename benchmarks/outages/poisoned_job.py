"""Creates a job whose step always kills its process; measures how often it runs and what other jobs notice of it."""

import tempfile
import time
from pathlib import Path

from benchmarks.outages.bench import Bench, Row, latencies

POISON_SUFFIX = "poison"
RUNS_FILE = "POISON_RUNS"  # the environment variable with the path of a file that gets one byte for each run
OTHER_JOBS = 1700
# A third of the usual lease and hardly any grace: the poisoned job ends sooner, and disturbs others more.
SHORT_TIMES = {"TUNERY_LEASE": "15", "TUNERY_CREATE_GRACE": "5", "TUNERY_PROVIDER__TIMEOUT": "2"}


def poisoned_job(bench: Bench) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        (runs := Path(folder) / "runs").touch()
        app, variables = "benchmarks.outages.poisoned_worker", SHORT_TIMES | {RUNS_FILE: str(runs)}
        with bench.another_worker(app, variables=variables):
            alone = [_milliseconds_to_provider(bench) for _ in range(OTHER_JOBS)]
            poisoned, beside = bench.create(suffix=POISON_SUFFIX), []
            while (job := bench.client.fine_tuning.jobs.retrieve(poisoned)).status != "failed":
                beside.append(_milliseconds_to_provider(bench))
            count = len(runs.read_text())
    code = job.error.code if job.error else "no error"
    return [
        ("a job that kills its process (lease 15 s): runs", "≤ 5, then a reason", f"{count}, then {code}"),
        (
            "other jobs meanwhile: create → at the provider",
            "p99 within 20 %",
            f"{latencies(beside)}; without {latencies(alone)}",
        ),
    ]


def _milliseconds_to_provider(bench: Bench) -> float:
    """From the create request until the provider has the job."""
    started = time.monotonic()
    bench.seconds_until_at_provider(bench.create(), every=0.005)
    return (time.monotonic() - started) * 1000
