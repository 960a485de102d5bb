"""Corrects kombu, which loses a worker's slot for each message that it cannot acknowledge while Redis is down.

Also lets it acknowledge all messages with one client of Redis.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError


class FreeingQoS(QoS):
    """Frees a message's slot when its task is done, also if the acknowledgement fails.

    kombu's own class keeps that slot for as long as the process lives. After as many failures as it has slots, a worker
    consumes nothing any more, though Redis answers again. The message itself is delivered again after the visibility
    timeout, and finds its row not due.
    """

    _client: Redis | None = None

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except (RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise

    @contextmanager
    def pipe_or_acquire(self, pipe: Pipeline | None = None, client: Redis | None = None) -> Iterator[Pipeline]:
        """With one client for all: kombu makes two for each message, which cost more than the commands."""
        channel: Any = self.channel
        if self._client is None or self._client.connection_pool is not channel.pool:
            self._client = channel._create_client()
        with super().pipe_or_acquire(pipe, client or self._client) as pipeline:
            yield pipeline


def install() -> None:
    Channel.QoS = FreeingQoS
