"""Decodes plain lines, whose messages have only a role and a text, by types that refuse every invalid line.

This is the fast path of a check: a line that is decoded needs no rule but those about its sequence of roles.
"""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec

from shared.datasets.validation.lines.secrets import is_suspicious
from shared.datasets.validation.lines.texts import MAX_COUNTED, codes_of_texts
from shared.datasets.validation.reading.hidden import encoded_once
from shared.datasets.validation.rules.formats import CHAT, COMPLETION, PREFERENCE, REINFORCEMENT

Text = Annotated[str, msgspec.Meta(min_length=1)]
MAX_OTHERS_FIRST = 32  # lines; if none of so many is plain, few of those behind them are


class PlainMessage(msgspec.Struct, tag_field="role", forbid_unknown_fields=True, gc=False):
    """A text of one role. Messages with parts, calls, names or weights are decoded by `rich`."""

    role: ClassVar[str]
    calls: ClassVar[str] = ""
    content: Text


class System(PlainMessage, tag="system", gc=False):
    role = "system"


class Developer(PlainMessage, tag="developer", gc=False):
    role = "developer"


class User(PlainMessage, tag="user", gc=False):
    role = "user"


class Assistant(PlainMessage, tag="assistant", gc=False):
    role = "assistant"


class Prompt(PlainMessage, gc=False):
    role = "prompt"


class Completion(PlainMessage, gc=False):
    role = "completion"


Messages = Annotated[list[System | Developer | User | Assistant], msgspec.Meta(min_length=1)]
# The role is required only where another is possible: `_preference_messages` refuses the user's.
Output = Annotated[list[Assistant | User], msgspec.Meta(min_length=1, max_length=1)]


class Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Messages


class Pair(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: Text
    completion: Text


class Preference(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input: Chat
    preferred_output: Output
    non_preferred_output: Output


class PlainFormat(msgspec.Struct, frozen=True):
    """How plain lines of one format are decoded. Each of `keys` occurs once per message, unless a key is repeated."""

    decode: Callable[[bytes], Any]
    messages: Callable[[Any], list[PlainMessage]]
    keys: tuple[bytes, ...]


def _preference_messages(example: Preference) -> list[PlainMessage]:
    outputs = [*example.preferred_output, *example.non_preferred_output]
    if any(output.__class__ is not Assistant for output in outputs):
        raise ValueError("an output that is not from the assistant")
    return [*example.input.messages, *outputs]


_chat = msgspec.json.Decoder(Chat).decode
PLAIN_FORMATS = {
    CHAT: PlainFormat(_chat, attrgetter("messages"), (b'"content"',)),
    REINFORCEMENT: PlainFormat(_chat, attrgetter("messages"), (b'"content"',)),
    COMPLETION: PlainFormat(
        msgspec.json.Decoder(Pair).decode,
        lambda example: [Prompt(example.prompt), Completion(example.completion)],
        (b'"prompt"', b'"completion"'),
    ),
    PREFERENCE: PlainFormat(msgspec.json.Decoder(Preference).decode, _preference_messages, (b'"content"',)),
}


class PlainRead(NamedTuple):
    """The messages of each line, and the code of each finding in their texts."""

    examples: list[list[PlainMessage]]
    codes: list[str]


def read_plain(lines: Sequence[bytes], data: bytes, format: PlainFormat, suspicious: bool) -> PlainRead | None:
    """Lines that are plain and valid, `data` being all of them; None if one may have a finding of another kind.

    `suspicious` is what `is_suspicious` says of the data.
    """
    try:
        decoded = list(map(format.decode, lines))
        examples = list(map(format.messages, decoded))
    except (ValueError, RecursionError):
        return None
    if not suspicious and _has_each_key_once(data, examples, format):
        return PlainRead(examples, [])
    encoded = encoded_once(decoded, data)
    if encoded is None:
        return None
    codes = codes_of_texts(encoded)
    return None if len(codes) > MAX_COUNTED < max(map(len, lines)) else PlainRead(examples, codes)


def read_plain_among(lines: Sequence[bytes], format: PlainFormat) -> dict[int, list[PlainMessage]]:
    """The messages of the plain lines among others, by index, but for those that may have a finding."""
    examples: dict[int, list[PlainMessage]] = {}
    for index, line in enumerate(lines):
        try:
            examples[index] = format.messages(format.decode(line))
        except (ValueError, RecursionError):
            if index >= MAX_OTHERS_FIRST and not examples:
                return {}
    plain = b"".join(map(lines.__getitem__, examples))
    if _is_clean(plain, examples.values(), format):
        return examples
    return {index: example for index, example in examples.items() if _is_clean(lines[index], [example], format)}


def _is_clean(data: bytes, examples: Collection[list[PlainMessage]], format: PlainFormat) -> bool:
    """Whether no finding can be in these plain lines."""
    return _has_each_key_once(data, examples, format) and not is_suspicious(data)


def _has_each_key_once(data: bytes, examples: Collection[list[PlainMessage]], format: PlainFormat) -> bool:
    """Whether no key is repeated in an object: a decoder keeps one of two equal keys silently."""
    return sum(map(data.count, format.keys)) == sum(map(len, examples))
