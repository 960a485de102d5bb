"""Measures how many jobs a minute one and two workers bring from the queue to their end, and what they wait for.

`python -m benchmarks.jobs [--jobs 400]`

The jobs are created while the workers are suspended; the provider is the sandbox, where a job takes a moment.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import psutil
from sqlalchemy import text

from benchmarks.stack import Measured, Row, measured_stack, noted, print_table, uploaded, wait_until
from cli.processes.supervisor import Tier
from shared.database import get_engine

SETTINGS = {
    "TUNERY_PROVIDER__SLOTS": '{"*": 100000}',
    "TUNERY_LOG_LEVEL": "warning",
    "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
    "SANDBOX_MAX_JOBS_PER_DAY": "100000",
    "SANDBOX_SPEED": "1000",
}
SHOWN = ("worker", "api", "sandbox", "postgres", "sender", "valkey")
WAITS = """select coalesce(wait_event_type || ': ' || wait_event, 'running') from pg_stat_activity
where state = 'active' and pid <> pg_backend_pid()"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=400)
    jobs = parser.parse_args().jobs
    rows: list[Row] = []
    with measured_stack(**SETTINGS) as stack:
        os.environ.update(stack.environ)
        file_id = uploaded(stack.openai)
        workers = [stack.processes["worker"]]
        rows += noted(_measure(stack, file_id, workers, jobs))
        workers.append(_another_worker(stack))
        rows += noted(_measure(stack, file_id, workers, jobs))
        get_engine().dispose()
    print_table(rows)


def _another_worker(stack: Measured) -> psutil.Process:
    _, first = stack.supervisor.members["worker"]
    log = first.program.log.with_name("second-worker.log")
    second = stack.supervisor.start(replace(first.program, name="second worker", log=log), Tier.SERVERS)
    time.sleep(10)  # its children start when it has connected
    return psutil.Process(second.pid)


def _measure(stack: Measured, file_id: str, workers: list[psutil.Process], jobs: int) -> Iterator[Row]:
    family = [each for worker in workers for each in (worker, *worker.children(recursive=True))]
    for process in family:
        process.suspend()
    client = stack.openai
    for _ in range(jobs):
        client.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini")
    used, started, idle = _cpu(stack, workers), time.monotonic(), psutil.cpu_times().idle
    for process in family:
        process.resume()
    waits = Counter[str]()

    def have_ended() -> bool:
        waits.update(each for (each,) in _rows(WAITS))
        return not _count("status <> 'succeeded'")

    wait_until(have_ended, "all jobs have ended")
    seconds = time.monotonic() - started
    spent = {name: 1000 * (now - used[name]) / jobs for name, now in _cpu(stack, workers).items()}
    share = (psutil.cpu_times().idle - idle) / (seconds * (os.cpu_count() or 1))
    what = f"{len(workers)} worker{'s' * (len(workers) > 1)}, {jobs} jobs from the queue to their end"
    yield what, "-", f"{60 * jobs / seconds:.0f} jobs a minute"
    yield "… CPU of a job", "-", ", ".join(f"{name} {spent[name]:.0f} ms" for name in SHOWN)
    yield "… the machine was idle", "-", f"{100 * share:.0f} %"
    total = sum(waits.values()) or 1
    most = ", ".join(f"{name} {100 * times / total:.0f} %" for name, times in waits.most_common(4))
    yield "… what statements in Postgres were found at", "-", most


def _cpu(stack: Measured, workers: list[psutil.Process]) -> dict[str, float]:
    mothers = {name: [process] for name, process in stack.processes.items()} | {"worker": workers}
    return {name: sum(map(_of_family, processes)) for name, processes in mothers.items()}


def _of_family(mother: psutil.Process) -> float:
    """Seconds of CPU of a process and its descendants, those included that have ended."""
    return sum(sum(each.cpu_times()[:4]) for each in (mother, *mother.children(recursive=True)))


def _rows(query: str) -> list[tuple[str]]:
    with get_engine().connect() as connection:
        return [(str(each),) for (each,) in connection.execute(text(query))]


def _count(where: str) -> int:
    return int(_rows(f"select count(*) from jobs where {where}")[0][0])


if __name__ == "__main__":
    main()
