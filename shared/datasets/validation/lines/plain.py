"""Decodes plain lines, whose messages have only a role and a text, by types that refuse every invalid line.

This is the fast path of a check: a line that is decoded needs no rule but those about its sequence of roles.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any, ClassVar

import msgspec

from shared.datasets.validation.lines.secrets import is_suspicious
from shared.datasets.validation.rules.formats import CHAT, COMPLETION, PREFERENCE, REINFORCEMENT

Text = Annotated[str, msgspec.Meta(min_length=1)]


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


# More than 1,000 messages are a warning; `shared_prefix` may have removed one message before decoding.
Messages = Annotated[list[System | Developer | User | Assistant], msgspec.Meta(min_length=1, max_length=999)]
Output = Annotated[list[Assistant], msgspec.Meta(min_length=1, max_length=1)]


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
    return [*example.input.messages, *example.preferred_output, *example.non_preferred_output]


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


def hides_nothing(data: bytes, key_count: int, format: PlainFormat) -> bool:
    """Whether lines that were decoded contain no repeated key, no secret and no escaped NUL.

    A decoder keeps one of two equal keys silently; so the keys are counted in `data` and compared with `key_count`.
    """
    return sum(map(data.count, format.keys)) == key_count and not is_suspicious(data)
