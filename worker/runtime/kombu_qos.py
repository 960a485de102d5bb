"""Corrects kombu, which loses a worker's slot for each message that it cannot acknowledge while Redis is down."""

from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS
from redis.exceptions import RedisError


class FreeingQoS(QoS):
    """Frees a message's slot when its task is done, also if the acknowledgement fails.

    kombu's own class keeps that slot for as long as the process lives. After as many failures as it has slots, a worker
    consumes nothing any more, though Redis answers again. The message itself is delivered again after the visibility
    timeout, and finds its row not due.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except (RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise


def install() -> None:
    Channel.QoS = FreeingQoS
