"""A Redis that stands still: it takes connections, and never answers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from api.rate_limits.counters import Counts
from shared.broker.queue import Task, enqueue
from tests.brokers import broker_at, broker_in_company, deaf_redis


def ring(_: int = 0) -> bool:
    return enqueue(Task.ADVANCE_JOB, "ftjob-none")


async def counted(times: int) -> list[int]:
    counts = Counts()
    found = [await counts.add("somebody", 1) for _ in range(times)]
    await counts.close()
    return found


def test_all_requests_together_wait_for_it_once_and_ring_again_when_it_answers(server: str) -> None:
    with deaf_redis() as deaf, broker_at(deaf.url):
        with ThreadPoolExecutor(16) as requests:
            assert not any(requests.map(ring, range(64)))
        assert asyncio.run(counted(5)) == [1, 2, 3, 4, 5]
        assert deaf.waits <= 2  # that of one request, and of the thread that asks whether it answers again
    assert ring()


def test_rings_do_not_wait_for_each_other_while_it_answers(server: str) -> None:
    with broker_in_company() as company, ThreadPoolExecutor(8) as requests:
        assert ring()
        assert company.most == 1
        assert all(requests.map(ring, range(8)))
        assert company.most > 1
