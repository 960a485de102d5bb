"""Acknowledging a message to a Redis that does not answer must not cost the worker its place for the next one."""

from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS
from redis.exceptions import RedisError


class FreeingQoS(QoS):
    """As kombu's, but a place is free once its message is done with.

    kombu's own keeps the place of a message that could not be acknowledged, for as long as the process lives: after as
    many of them as it has places a worker consumes nothing any more, though Redis answers again. The message itself
    comes again after the visibility timeout, and finds its row not due.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except (RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise


def free_places() -> None:
    Channel.QoS = FreeingQoS
