"""The counters behind rate limits: minutes, shares, bursts and costs, without a server and without Redis."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from api.rate_limits.counters import Counters, Kind, Limit, Refusal, whole_seconds

NOON = 1_790_000_040.0  # the beginning of a minute


class LocalCounters(Counters):
    """Counters of several processes in the memory of this one."""

    def __init__(self) -> None:
        super().__init__()
        self._redis_down_until = math.inf
        self.calls = 0

    async def add(self, key: str, amount: int) -> int:
        self.calls += 1
        return await super().add(key, amount)


def take(limits: Sequence[Limit], costs: Sequence[int], counters: Counters, times: Sequence[float]) -> list[bool]:
    """Let the limits, as of several processes, take these costs in turn; whether each was let in."""

    async def run() -> list[Refusal | None]:
        return [
            await limits[number % len(limits)].take(counters, cost, time)
            for number, (cost, time) in enumerate(zip(costs, times, strict=True))
        ]

    return [refusal is None for refusal in asyncio.run(run())]


@pytest.mark.parametrize(
    ("kind", "per_minute", "costs", "admitted"),
    [
        ("requests", 0, [1], [False]),
        ("requests", 1, [1, 1], [True, False]),
        ("requests", 3, [1, 1, 1, 1], [True, True, True, False]),
        ("failures", 2, [1, 1, 1], [True, True, False]),
        ("bytes", 100, [100, 1], [True, False]),
        ("bytes", 100, [99, 1, 1], [True, True, False]),
        ("bytes", 100, [250, 1], [True, False]),
        ("bytes", 100, [99, 250, 1], [True, True, False]),
        ("bytes", 0, [1], [False]),
    ],
)
def test_a_limit_lets_in_until_it_is_spent(kind: Kind, per_minute: int, costs: list[int], admitted: list[bool]) -> None:
    times = [NOON + number for number in range(len(costs))]
    assert take([Limit("a", kind, per_minute)], costs, LocalCounters(), times) == admitted


@pytest.mark.parametrize(("second", "admitted"), [(59.9, False), (60.0, True), (61.0, True), (3600.0, True)])
def test_a_new_minute_begins_with_the_minute_of_the_clock(second: float, admitted: bool) -> None:
    assert take([Limit("a", "requests", 1)], [1, 1], LocalCounters(), [NOON, NOON + second]) == [True, admitted]


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("per_minute", [1, 5, 20, 59])
def test_shares_of_all_processes_together_are_the_limit(processes: int, per_minute: int) -> None:
    limits, counters = [Limit("a", "requests", per_minute) for _ in range(processes)], LocalCounters()
    tries = 3 * per_minute + processes
    admitted = take(limits, [1] * tries, counters, [NOON] * tries)
    assert admitted.count(True) == per_minute
    assert all(limit.remaining == 0 for limit in limits if limit.taken >= per_minute)


def test_most_requests_need_no_call_to_redis() -> None:
    counters = LocalCounters()
    spread = [NOON + number * 0.01 for number in range(1000)]
    assert all(take([Limit("a", "requests", 6000)], [1] * 1000, counters, spread))
    assert counters.calls <= 25


@pytest.mark.parametrize(
    ("per_minute", "burst"),
    [(60, 60), (61, 60), (600, 60), (1800, 60), (3000, 100), (6000, 200)],
)
def test_a_burst_is_60_requests_or_2_seconds_worth(per_minute: int, burst: int) -> None:
    limit = Limit("a", "requests", per_minute)
    admitted = take([limit], [1] * (burst + 5), LocalCounters(), [NOON] * (burst + 5))
    assert admitted == [True] * burst + [False] * 5


@pytest.mark.parametrize(
    ("per_minute", "wait", "more"), [(600, 0.05, 0), (600, 0.11, 1), (600, 1.01, 10), (6000, 0.5, 50)]
)
def test_after_a_burst_requests_are_let_in_evenly(per_minute: int, wait: float, more: int) -> None:
    limit, counters = Limit("a", "requests", per_minute), LocalCounters()
    burst = max(60, per_minute // 30)
    take([limit], [1] * burst, counters, [NOON] * burst)
    assert take([limit], [1] * (more + 1), counters, [NOON + wait] * (more + 1)) == [True] * more + [False]


def test_bytes_and_failures_have_no_bursts() -> None:
    for kind in ("bytes", "failures"):
        admitted = take([Limit("a", kind, 1000)], [1] * 500, LocalCounters(), [NOON] * 500)
        assert all(admitted), kind


@pytest.mark.parametrize(("duration", "seconds"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (59.999, 60), (60.0, 60)])
def test_retry_after_is_in_whole_seconds_and_never_too_early(duration: float, seconds: int) -> None:
    assert whole_seconds(duration) == seconds


@pytest.mark.parametrize(
    ("kind", "is_burst", "sentence"),
    [
        ("requests", False, "The limit of 7 requests per minute is reached: try again in 12 s"),
        ("bytes", False, "The limit of 7 bytes per minute is reached: try again in 12 s"),
        ("failures", False, "Too many requests with unknown API keys came from this IP address: try again in 12 s"),
        ("requests", True, "Too many requests at once: spread the 7 allowed per minute evenly; try again in 12 s"),
    ],
)
def test_a_refusal_says_which_limit_and_when_to_try_again(kind: Kind, is_burst: bool, sentence: str) -> None:
    assert str(Refusal(Limit("a", kind, 7), 11.5, is_burst)) == sentence


def test_owners_and_kinds_are_counted_apart() -> None:
    counters = LocalCounters()
    for owner in ("proj_a", "key_a", "203.0.113.9"):
        for kind in ("requests", "bytes"):
            assert take([Limit(owner, kind, 1)], [1, 1], counters, [NOON, NOON]) == [True, False]
