"""A worker goes on consuming after Redis has stood still."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.outages.half_open import HalfOpen, half_open


@pytest.fixture
def way(redis_url: str) -> Iterator[HalfOpen]:
    with half_open(redis_url) as way:
        yield way


@pytest.mark.usefixtures("server")
def test_a_message_that_cannot_be_acknowledged_keeps_no_slot(way: HalfOpen) -> None:
    importlib.import_module("worker.app")  # it needs the settings that the server has brought
    options = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2, "global_keyprefix": "acknowledging-"}
    with Connection(way.url, transport_options=options) as connection:
        queue: Any = connection.SimpleQueue("messages")
        queue.put("message")
        channel = queue.consumer.channel
        channel.basic_qos(0, 1, False)
        message = queue.get(timeout=60)
        assert not channel.qos.can_consume()
        way.close()
        way.freeze()
        with pytest.raises((RedisError, OSError)):
            message.ack()
        assert channel.qos.can_consume()


@pytest.mark.usefixtures("server")
def test_messages_share_a_client_until_their_connections_are_closed(redis_url: str) -> None:
    importlib.import_module("worker.app")
    with Connection(redis_url, transport_options={"global_keyprefix": "sharing-"}) as connection:
        queue: Any = connection.SimpleQueue("messages")
        channel = queue.consumer.channel
        make = channel._create_client
        made: list[Redis] = []

        def note() -> Redis:
            made.append(make())
            return made[-1]

        channel._create_client = note
        for _ in range(2):
            for number in range(3):
                with channel.qos.pipe_or_acquire() as pipe:
                    assert pipe.set("number", number).execute() == [True]
            channel._disconnect_pools()
        assert len(made) == 2
