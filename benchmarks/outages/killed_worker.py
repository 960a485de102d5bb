"""Kills a worker (-9) in the middle of 20 steps and measures how long each waits until another worker repeats it."""

import statistics
import time
from collections.abc import Iterator

from benchmarks.outages.bench import Bench, Row
from benchmarks.stack import lines

STEPS = 20
UPLOAD = "POST /v1/files"


def killed_worker(bench: Bench) -> list[Row]:
    files = [_fresh_file(bench, number) for number in range(STEPS)]
    before = _upload_count(bench)
    hang = {"method": "POST", "path": "/v1/files", "delay": 600, "times": STEPS}
    bench.sandbox.post("/sandbox/faults", json=hang).raise_for_status()
    with bench.another_worker(concurrency=STEPS) as worker:
        ids = [bench.create(file_id=file_id) for file_id in files]
        while _upload_count(bench) < before + STEPS:
            time.sleep(0.1)
        for process in (worker, *worker.children(recursive=True)):
            process.kill()
    seconds = list(_seconds_until_each_is_at_provider(bench, ids))
    measured = f"{seconds[-1]:.1f} s at most, median {statistics.median(seconds):.1f} s of {STEPS}"
    return [("kill -9 in the middle of a step: another goes on after", "p99 ≤ 60 s", measured)]


def _fresh_file(bench: Bench, number: int) -> str:
    """A checked dataset that the provider does not have yet, so that its job begins with an upload."""
    file = bench.client.files.create(file=("train.jsonl", lines(20 + number)), purpose="fine-tune")
    while bench.client.files.retrieve(file.id).status == "uploaded":
        time.sleep(0.1)
    return file.id


def _upload_count(bench: Bench) -> int:
    return int(bench.sandbox.get("/sandbox/requests").json()["requests"].get(UPLOAD, 0))


def _seconds_until_each_is_at_provider(bench: Bench, ids: list[str]) -> Iterator[float]:
    """In ascending order, one for each job."""
    started, waiting = time.monotonic(), ids
    while waiting:
        still = [id for id in waiting if bench.count_not_at_provider([id])]
        yield from (time.monotonic() - started for _ in range(len(waiting) - len(still)))
        waiting = still
        time.sleep(0.1)
