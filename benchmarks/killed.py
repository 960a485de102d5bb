"""A worker that is killed (-9) in the middle of many steps: how long each waits until another goes on with it."""

import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.stack import lines

if TYPE_CHECKING:
    from benchmarks.outages import Bench

STEPS = 20
UPLOADS = "POST /v1/files"


def killed(bench: "Bench") -> list[tuple[str, str, str]]:
    files = [_fresh_file(bench, number) for number in range(STEPS)]
    before = _uploads(bench)
    hang = {"method": "POST", "path": "/v1/files", "delay": 600, "times": STEPS}
    bench.sandbox.post("/sandbox/faults", json=hang).raise_for_status()
    with bench.another_worker(concurrency=STEPS) as worker:
        ids = [bench.create(file_id=file_id) for file_id in files]
        while _uploads(bench) < before + STEPS:
            time.sleep(0.1)
        for process in (worker, *worker.children(recursive=True)):
            process.kill()
    took = list(_each_arrived(bench, ids))
    said = f"{took[-1]:.1f} s at most, median {statistics.median(took):.1f} s of {STEPS}"
    return [("kill -9 in the middle of a step: another goes on after", "p99 ≤ 60 s", said)]


def _fresh_file(bench: "Bench", number: int) -> str:
    """One that the provider does not have yet, and that is checked."""
    content = lines(20 + number)
    file = bench.client.files.create(file=("train.jsonl", content), purpose="fine-tune")
    while bench.client.files.retrieve(file.id).status == "uploaded":
        time.sleep(0.1)
    return file.id


def _uploads(bench: "Bench") -> int:
    return int(bench.sandbox.get("/sandbox/requests").json()["requests"].get(UPLOADS, 0))


def _each_arrived(bench: "Bench", ids: list[str]) -> Iterator[float]:
    """Seconds until each is at the provider, from now, in the order in which they come there."""
    started, waiting = time.monotonic(), ids
    while waiting:
        still = [id for id in waiting if bench.without_ids([id])]
        yield from (time.monotonic() - started for _ in range(len(waiting) - len(still)))
        waiting = still
        time.sleep(0.1)
