"""Requests wait at most once for a Redis that accepts connections but never answers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from api.rate_limits.counters import Counters
from shared.broker.queue import Task, enqueue
from tests.brokers import broker_at, broker_in_company, deaf_redis


def enqueue_one(_: int = 0) -> bool:
    return enqueue(Task.ADVANCE_JOB, "ftjob-none")


async def totals(times: int) -> list[int]:
    counters = Counters()
    found = [await counters.add("somebody", 1) for _ in range(times)]
    await counters.close()
    return found


def test_concurrent_requests_wait_for_redis_once_and_enqueue_again_when_it_answers(server: str) -> None:
    with deaf_redis() as deaf, broker_at(deaf.url):
        with ThreadPoolExecutor(16) as requests:
            assert not any(requests.map(enqueue_one, range(64)))
        assert asyncio.run(totals(5)) == [1, 2, 3, 4, 5]
        assert deaf.waits <= 2  # one request, and the thread that probes
    assert enqueue_one()


def test_messages_are_sent_concurrently_while_redis_answers(server: str) -> None:
    with broker_in_company() as company, ThreadPoolExecutor(8) as requests:
        assert enqueue_one()
        assert company.most == 1
        assert all(requests.map(enqueue_one, range(8)))
        assert company.most > 1
