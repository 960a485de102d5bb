"""The fast way: plain and good lines are decoded into types that refuse anything else, and need no more rules."""

import re
import string
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Annotated, Any, ClassVar, Protocol
from zlib import crc32

import msgspec
from pydantic_core import SchemaValidator, core_schema

from shared.datasets.validation.rules.formats import CHAT, COMPLETION, PREFERENCE, REINFORCEMENT

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Message(msgspec.Struct, tag_field="role", forbid_unknown_fields=True, gc=False):
    """A text of one role. Whatever has more to it (parts, calls, names, weights) takes the slow way."""

    role: ClassVar[str]
    calls: ClassVar[str] = ""
    content: Text


class System(Message, tag="system", gc=False):
    role = "system"


class Developer(Message, tag="developer", gc=False):
    role = "developer"


class User(Message, tag="user", gc=False):
    role = "user"


class Assistant(Message, tag="assistant", gc=False):
    role = "assistant"


class Prompt(Message, gc=False):
    role = "prompt"


class Completion(Message, gc=False):
    role = "completion"


# With the one that `openings` takes off they are still not too many.
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


class Fast(msgspec.Struct, frozen=True):
    """How the plain lines of one format are read. `keys` are found once per message, unless a key is repeated."""

    decode: Callable[[bytes], Any]
    messages: Callable[[Any], list[Message]]
    keys: tuple[bytes, ...]


def _preference_messages(example: Preference) -> list[Message]:
    return [*example.input.messages, *example.preferred_output, *example.non_preferred_output]


_chat = msgspec.json.Decoder(Chat).decode
FAST = {
    CHAT: Fast(_chat, attrgetter("messages"), (b'"content"',)),
    REINFORCEMENT: Fast(_chat, attrgetter("messages"), (b'"content"',)),
    COMPLETION: Fast(
        msgspec.json.Decoder(Pair).decode,
        lambda example: [Prompt(example.prompt), Completion(example.completion)],
        (b'"prompt"', b'"completion"'),
    ),
    PREFERENCE: Fast(msgspec.json.Decoder(Preference).decode, _preference_messages, (b'"content"',)),
}

SECRETS = (
    r"\b(?:sk-[A-Za-z0-9_-]{20}|[sr]k_live_[A-Za-z0-9]{20}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|hf_[A-Za-z0-9]{30}"
    r"|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}|glpat-[A-Za-z0-9_-]{20}|xox[abprs]-[A-Za-z0-9-]{10})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
secret = re.compile(SECRETS)
# Besides secrets, escapes that nobody writes but to hide a letter of a key, and control characters. Rust's expressions
# find any of many words at 4 GB/s, which nothing else here does; this is true where one is found in a text of UTF-8.
is_suspicious = SchemaValidator(
    core_schema.str_schema(pattern=rf"(?-u:{SECRETS}|\\u00[0567])", regex_engine="rust-regex")
).isinstance_python


def is_plain(data: bytes, key_count: int, fast: Fast) -> bool:
    """Whether decoded lines hide nothing: no secret, no repeated key, no NUL."""
    return sum(map(data.count, fast.keys)) == key_count and not is_suspicious(data)


TAIL, NORMAL_TAIL, NOT_ZERO = 36, 20, 1
_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_IGNORED = (string.whitespace + string.punctuation).encode()
_ESCAPED_SPACE = re.compile(rb"\\[nrt]")
_SEPARATOR = "\x01"
_last = itemgetter(slice(-NORMAL_TAIL, None))


class HasContent(Protocol):
    @property
    def content(self) -> str: ...


def tail_keys(examples: Sequence[Sequence[HasContent]]) -> "array[int]":
    """For each example, 32 bits of how its question and its answer end: two that repeat one another have them equal."""
    if not examples:
        return array("I")
    answers = _tails([messages[-1].content[-TAIL:] for messages in examples])
    questions = _tails([messages[-2].content[-TAIL:] if len(messages) > 1 else "" for messages in examples])
    return array("I", map(crc32, questions, map(crc32, answers, repeat(NOT_ZERO))))


def _tails(texts: list[str]) -> Iterable[bytes]:
    """The last letters of each text; those of all texts are made normal at once."""
    joined = normal(_SEPARATOR.join(texts).encode(errors="surrogatepass"))
    return map(_last, joined.split(_SEPARATOR.encode()))


def normal(text: bytes) -> bytes:
    """Without case, spaces and punctuation (of ASCII)."""
    return text.translate(_LOWER, _IGNORED)


def normal_line(line: bytes) -> bytes:
    """A line of JSON made normal, without the spaces that are escapes."""
    return normal(_ESCAPED_SPACE.sub(b"", line))
