"""What each process counts and times for Prometheus; docs/reference/metrics.md explains each metric.

Labels have few values: routes, kinds, outcomes. No label names a project. Each metric has a label, since the values of
one without would be made here, before a process knows whether it shares them (`shared.metrics.exposition`).
"""

from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry()
_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)  # seconds: of requests, steps and waits
_SLOW = (0.05, 0.25, 1, 5, 15, 30, 60)  # of calls that go out, and of checks
_LONG = (60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600)  # of jobs


class StepOutcome(StrEnum):
    """How a step of a row ended: its call succeeded, failed or was not needed; it was put off, had lost its lease, or
    raised an error that nobody expected."""

    DONE = "done"
    CALL_FAILED = "call_failed"
    NO_CALL = "no_call"
    PUT_OFF = "put_off"
    LEASE_LOST = "lease_lost"
    FAILED = "failed"


def owner(project_id: str | None) -> str:
    """Whose an account is: two words, however many projects have accounts."""
    return "deployment" if project_id is None else "project"


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)


INFO = Gauge(
    "tunery_info", "1 for each server that runs.", ["process", "version"], multiprocess_mode="max", registry=REGISTRY
)
POOL_CONNECTIONS = Gauge(
    "tunery_pool_connections",
    "Connections to Postgres.",
    ["state"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)

REQUESTS = _counter("tunery_requests_total", "Requests answered.", "method", "route", "status")
REQUEST_SECONDS = _histogram("tunery_request_seconds", "From a request to the end of its answer.", _FAST, "route")
REFUSALS = _counter("tunery_refusals_total", "Answers that were errors.", "code")

WAIT_SECONDS = _histogram("tunery_wait_seconds", "From a wake-up message to its task.", _FAST, "task")
STEP_SECONDS = _histogram("tunery_step_seconds", "Steps of rows, calls included.", _FAST, "table", "outcome")
PROVIDER_CALL_SECONDS = _histogram(
    "tunery_provider_call_seconds", "Calls to providers.", _SLOW, "account", "dialect", "verb", "status"
)
DELIVERY_SECONDS = _histogram("tunery_delivery_seconds", "Attempts to deliver a webhook.", _SLOW, "status")
CHECK_SECONDS = _histogram("tunery_check_seconds", "Checks of datasets.", _SLOW, "pass", "valid")
CHECKED_BYTES = _counter("tunery_checked_bytes_total", "Bytes of the datasets that were checked.", "pass")
JOB_SECONDS = _histogram("tunery_job_seconds", "Jobs that ended, from their creation on.", _LONG, "status")
SWEEP_SECONDS = _histogram("tunery_sweep_seconds", "Rounds of the scheduler.", _FAST, "outcome")
