"""Reads lines with names, weights, tools, calls and parts by types that refuse every line with an error.

This is the second path of a check, for lines that are valid but not plain. It counts the most frequent warnings, which
is enough once the first of a kind are listed; a line with any others is examined rule by rule.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import islice, repeat
from operator import add
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from pydantic_core import SchemaValidator, core_schema

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.findings.finding import UnreadableLine
from shared.datasets.validation.lines.more_keys import read_with_more_keys
from shared.datasets.validation.lines.rich_messages import NeedsRules, counted_messages
from shared.datasets.validation.lines.rich_types import (
    Assistant,
    Chat,
    OpenChat,
    OpenPair,
    OpenPreference,
    Pair,
    Preference,
)
from shared.datasets.validation.lines.texts import MAX_COUNTED, codes_of_texts, escapes_letters
from shared.datasets.validation.reading.hidden import encoded_once, has_long_number, some_may_be_deep
from shared.datasets.validation.reading.strict_json import read_strictly
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.formats import CHAT, COMPLETION, PREFERENCE, REINFORCEMENT
from shared.datasets.validation.rules.limits import Limits, rules
from shared.datasets.validation.rules.tools import declared_names, examine_tools, text_of_tools


class Read(NamedTuple):
    """The messages of each line as they are counted, and whether some may have images.

    `found` is how often each warning was found, but for those of the number and the sequence of roles.
    """

    examples: list[list[CountedMessage]]
    found: Counter[str]
    images: bool


class Declared(NamedTuple):
    """The functions that an example may call, its declarations as the text whose tokens are counted, their warnings."""

    names: frozenset[str]
    text: str
    codes: list[str]


class _Format(NamedTuple):
    """The type of a line, the type that may have other keys, and a line that has nothing but tools."""

    type: Any
    open_type: Any
    tools: bytes = b'{"tools":%b}'


_FORMATS = {
    CHAT: _Format(Chat, OpenChat),
    REINFORCEMENT: _Format(Chat, OpenChat),
    PREFERENCE: _Format(Preference, OpenPreference, b'{"input":{"tools":%b}}'),
    COMPLETION: _Format(Pair, OpenPair),
}


def _rust(pattern: str) -> Callable[[bytes], bool]:
    """Whether UTF-8 contains the pattern. One that begins with a quote, as every key does, takes several times as
    long."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")).isinstance_python


# In what the types encode, all else is a text, or the tools, which are read strictly.
_may_have_values_of_any_kind = _rust(r'(?:audio|custom|file|weight)":')
_may_have_images = _rust(r'image_url"')
MAX_CACHED_TOOLS, MAX_CACHED_TOOLS_BYTES = 1_000, 10_000  # 10 MB at most, in each process
_NO_TOOLS = Declared(frozenset(), "", [])
_decode_any, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


class RichDecoder:
    """Decodes lines of one format without errors. Caches the tools that it has read, because most files repeat them."""

    def __init__(self, format: str, limits: Limits) -> None:
        type_, open_type, self._tools_frame = _FORMATS[format]
        self._limits, self._format = limits, format
        self._is_chat, self._is_reinforcement = format == CHAT, format == REINFORCEMENT
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(type_).decode
        self._decode_known: Callable[[bytes], Any] = msgspec.json.Decoder(open_type).decode
        self._counted: Callable[[Any, list[str]], list[CountedMessage]] = self._counted_chat
        if format in (PREFERENCE, COMPLETION):
            self._counted = self._counted_preference if format == PREFERENCE else _counted_pair
        self._tools: dict[bytes, Declared] = {}
        self._only_counts: Callable[[Collection[str]], bool]
        self._enough: set[str] = set()  # codes that need only be counted, in the lines that are read
        self._may_have_images = self._may_lack_keys = False

    def read(
        self,
        lines: Sequence[bytes],
        data: bytes,
        suspicious: bool,
        only_counts: Callable[[Collection[str]], bool] = lambda _: True,
    ) -> Read | None:
        """The messages and warnings of lines; None if one of them may have a finding that is not counted.

        `suspicious` is what `is_suspicious` says of the data. `only_counts` says whether it is enough to count the
        warnings of these codes.
        """
        self._only_counts, self._enough = only_counts, set()
        try:
            return self._read(lines, data, suspicious)
        except (ValueError, RecursionError, NeedsRules):
            return None

    def _read(self, lines: Sequence[bytes], data: bytes, suspicious: bool) -> Read | None:
        codes: Iterable[list[str]] = repeat([])
        encoded: bytes | None = None
        with suppress(msgspec.ValidationError):
            values = examples = list(map(self.decode, lines))
            encoded = encoded_once(examples, data)
        self._may_lack_keys = encoded is None
        may_nest = encoded is None or _may_have_values_of_any_kind(encoded)
        if may_nest and (has_long_number(data) or some_may_be_deep(lines)):
            return None
        if encoded is None:
            examples, values, encoded, codes = read_with_more_keys(lines, data, self._format, self._decode_known)
        found: list[str] = []
        self._may_have_images = suspicious or _may_have_images(data)  # then the key may have escapes
        if suspicious:
            if escapes_letters(encoded):
                values = list(map(_decode_any, lines))
                encoded = _encode(values)
            if max(map(len, lines)) > MAX_COUNTED:
                codes = map(add, codes, map(codes_of_texts, map(_encode, values)))
            else:
                found += codes_of_texts(encoded)  # of all lines at once, which is faster
        counted = [
            self._counted_line(example, [*of_line], found) for example, of_line in zip(examples, codes, strict=False)
        ]
        return Read(counted, Counter(found), self._may_have_images)

    def _counted_line(self, example: Any, codes: list[str], found: list[str]) -> list[CountedMessage]:
        """The messages of one line; adds its `codes` and those of its other warnings to `found`."""
        messages = self._counted(example, codes)
        if codes:
            if len(codes) > MAX_COUNTED:
                raise NeedsRules
            self._need_no_place(codes)
            found += codes
        return messages

    def _need_no_place(self, codes: list[str]) -> None:
        """Raise `NeedsRules` unless it is enough to count these codes."""
        if not self._enough.issuperset(codes):
            if not self._only_counts(set(codes)):
                raise NeedsRules
            self._enough.update(codes)

    def _counted_chat(self, example: Chat, codes: list[str]) -> list[CountedMessage]:
        declared = self._declared(example)
        codes += declared.codes
        if isinstance(example.parallel_tool_calls, bool) and not declared.text:
            codes.append("pointless_key")
        self._need_no_place(codes)
        messages = counted_messages(example.messages, declared.names, codes, self._limits)
        if self._is_chat and not (messages[-1].trained or any(message.trained for message in messages)):
            if all(message.role != "assistant" for message in messages):
                raise NeedsRules
            codes.append("nothing_trained")
        if self._is_reinforcement and messages[-1].role != "user":
            raise NeedsRules
        if self._may_have_images:
            images = sum([message.images_low + message.images_high for message in messages])
            if images > self._limits.max_images_per_example:
                raise NeedsRules
        if declared.text:
            messages[0] = msgspec.structs.replace(messages[0], calls=messages[0].calls + declared.text)
        return messages

    def _counted_preference(self, example: Preference, codes: list[str]) -> list[CountedMessage]:
        outputs = [*example.preferred_output, *example.non_preferred_output]
        if any(output.__class__ is not Assistant for output in outputs):
            raise NeedsRules
        if getattr(example.input.messages[-1], "tool_calls", None):
            raise NeedsRules  # The outputs must answer the calls that are open.
        if outputs[0] == outputs[1]:
            if self._may_lack_keys:
                raise NeedsRules
            codes.append("identical_outputs")
        messages, names = self._counted_chat(example.input, codes), self._declared(example.input).names
        if any(message.images_low or message.images_high for message in messages):
            raise NeedsRules
        for output in outputs:
            messages += counted_messages([output], names, codes, self._limits)
        return messages

    def _declared(self, example: Chat) -> Declared:
        if example.tools is UNSET:
            return _NO_TOOLS
        tools = bytes(example.tools)
        found = self._tools.get(tools)
        return self._read_tools(tools) if found is None else found

    def _read_tools(self, tools: bytes) -> Declared:
        found = _declared_in(self._tools_frame % tools, self._limits)
        if found is None:
            raise NeedsRules
        if len(tools) <= MAX_CACHED_TOOLS_BYTES:
            if len(self._tools) >= MAX_CACHED_TOOLS:
                self._tools.clear()
            self._tools[tools] = found
        return found


def _counted_pair(example: Pair, codes: list[str]) -> list[CountedMessage]:
    if not example.prompt:
        codes.append("empty_content")
    return [CountedMessage("prompt", example.prompt), CountedMessage("completion", example.completion, trained=True)]


def _declared_in(line: bytes, limits: Limits) -> Declared | None:
    """What a line declares that has nothing but `tools`, or `input` with them; None if there is any error."""
    try:
        value, findings = read_strictly(line)
    except UnreadableLine:
        return None
    example = value.get("input", value)
    codes = [found.code for found in findings if found.code != "nul_character"]  # counted with the texts of the line
    codes += [found.code for found in islice(examine_tools(example, "$", limits), rules().ours.line_findings + 1)]
    if any(severity_of(code) is Severity.ERROR for code in set(codes)):
        return None
    return Declared(declared_names(example), text_of_tools(example), codes)
