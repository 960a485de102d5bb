"""What a scan asks of a decoded example, whether it is plain or counted: its shape, its answer, its end."""

from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from shared.datasets.validation.lines.fingerprints import SEPARATOR
from shared.datasets.validation.lines.plain import PlainMessage
from shared.datasets.validation.rules.counted_message import CountedMessage

Example = Sequence[PlainMessage] | Sequence[CountedMessage]
Shape = tuple[type[PlainMessage] | str, ...]  # the roles of an example, by type where it is plain


def shape_of(example: Example) -> Shape:
    if isinstance(example[0], CountedMessage):
        return tuple([message.role for message in example])
    return tuple(map(type, example))


def text_of(message: PlainMessage | CountedMessage) -> str:
    return message.content + message.calls


def last_messages(example: Example) -> Example:
    """The last messages of an example, with their calls as the text where they have no other."""
    if not isinstance(example[0], CountedMessage):
        return example
    messages = cast("Sequence[CountedMessage]", example[-2:])
    return [replace(each, content=(each.content or each.calls).replace(SEPARATOR, "")) for each in messages]
