"""What a scan asks of a decoded example, whether it is plain or counted: its shape, its images."""

from collections.abc import Sequence

from shared.datasets.validation.lines.plain import PlainMessage
from shared.datasets.validation.rules.counted_message import CountedMessage

Example = Sequence[PlainMessage] | Sequence[CountedMessage]
Shape = tuple[type[PlainMessage] | str, ...]  # the roles of an example, by type where it is plain


def shapes_of(examples: Sequence[Example]) -> list[Shape]:
    return [
        tuple([message.role for message in example])
        if example[0].__class__ is CountedMessage
        else tuple(map(type, example))
        for example in examples
    ]


def images_of(messages: Sequence[CountedMessage]) -> int:
    return sum([message.images_low + message.images_high for message in messages])
