"""More files that are slow to check: no error ends the check of most, since what they have is rare, but valid."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat
from typing import Any

from benchmarks.datasets.hostile_lines import (
    ANSWER,
    GOOD,
    USER,
    WRONG_VALUES,
    Lines,
    calls,
    chat,
    image,
    numbered,
    same,
    tool,
    with_tools,
)

NAMED = USER | {"name": "b"}
WHOLE_PNG = "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IEND" + bytes(4)).decode()
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
OLD_CALL = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
CUSTOM = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f"}}]}
FOUND = {"role": "tool", "tool_call_id": "c", "content": "a"}
ARRAYS = tool(properties={f"p{n}": {"type": "array", "items": {"type": "string"}} for n in range(1_000)})
UNIONS = tool(properties={f"p{n}": {"anyOf": [{"type": "string"}, {"type": "null"}]} for n in range(1_000)})


def differing(*messages: Any, **more: Any) -> Callable[[], Lines]:
    """Valid chats that all differ in their first text."""
    return numbered(chat({"role": "user", "content": "#"}, *messages, **more))


def between(line: bytes, times: int) -> Callable[[], Lines]:
    """So many good lines, all different, before each of these lines."""

    def lines() -> Iterator[bytes]:
        good = numbered(GOOD.replace(b"Hi", b"#"))()
        return chain.from_iterable([next(good) for _ in range(times)] + [line] for _ in repeat(None))

    return lines


def wrong_in_turn() -> Lines:
    lines = (chat(USER, ANSWER | {field: value}) for field in ("role", "content", "weight") for value in WRONG_VALUES)
    return cycle([*lines, b"{", b"[]", b"\xff", GOOD[:-1] + b',"messages":1}', chat(USER, CALLED, ANSWER)])


def preference(**more: Any) -> bytes:
    outputs = {"preferred_output": [ANSWER], "non_preferred_output": [USER | {"role": "assistant"}]}
    return json.dumps({"input": {"messages": [USER | {"content": "#"}]}, **outputs, **more}).encode()


ODD_FILES: dict[str, Callable[[], Lines]] = {
    "good lines, every second one empty": between(b"", 1),
    "a broken line behind 600 good ones": between(b"{", 600),
    "a repeated key behind 600 good lines": between(GOOD[:-1] + b',"a":1,"a":2}', 600),
    "an error behind 500 names": same(chat(*[NAMED] * 500, ANSWER, {"role": "bot", "content": "Hi"})),
    "a repeated key in each line": numbered(
        b'{"messages":[{"role":"user","content":"#"},{"role":"assistant","content":"Hello"}],"a":1,"a":2}'
    ),
    "parts with more keys": differing({"role": "user", "content": [{"type": "text", "text": "a", "id": 1}]}, ANSWER),
    "whole images, tiny": differing(image(WHOLE_PNG), ANSWER),
    "older calls": differing(OLD_CALL, {"role": "function", "name": "f", "content": "a"}, ANSWER),
    "calls of custom tools": differing(CUSTOM, FOUND, ANSWER),
    "refusals as parts": differing({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}),
    "weights with a point": differing(ANSWER | {"weight": 1.0}),
    "empty lists of calls": differing(ANSWER | {"tool_calls": []}),
    "colons in escapes": numbered(GOOD.replace(b"Hi", b"#\\u003a")),
    "every letter in an escape": numbered(GOOD.replace(b"Hi", b"#" + b"\\u0048\\u0069" * 100)),
    "400 digits in a text, and an id": differing({"role": "user", "content": "1" * 400}, ANSWER, id=1),
    "60 messages, and an id": differing(*[USER, ANSWER] * 30, id=1),
    "99 levels under an unknown key": differing(ANSWER, a=json.loads("[" * 99 + "]" * 99)),
    "99 levels, with brackets in texts": differing(ANSWER, a=json.loads('["[",' * 98 + "1" + "]" * 98)),
    "a key of 100,000 letters": differing(ANSWER, **{"k" * 100_000: 1}),
    "different errors in turn": wrong_in_turn,
    "secrets beside nearly secrets": numbered(GOOD.replace(b"Hi", b"# sk-" + b"a1" * 20 + b" sk-a" * 500)),
    "calls answered by the thousand": numbered(
        calls(1_000, *(FOUND | {"tool_call_id": f"c{n}"} for n in range(1_000)), ANSWER).replace(b"Hi", b"#", 1)
    ),
    "preferences with an id": numbered(preference(id=1)),
    "preferences that call": numbered(
        preference().replace(b'"Hello"', b'null, "tool_calls": [' + json.dumps(CALL).encode() + b"]")
    ),
    "completions with an id": numbered(b'{"prompt":"#","completion":"Hello","id":1}'),
    "schemas of arrays": with_tools(ARRAYS),
    "schemas that are unions": with_tools(UNIONS),
    "images of another type": differing(image(WHOLE_PNG.replace("png", "jpeg")), ANSWER),
}
ODD_NO_CHAT = {name for name in ODD_FILES if name.startswith(("preferences", "completions"))}
