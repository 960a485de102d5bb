"""Makes the lines of hostile files: the same, numbered, of many messages, of random words, of wrong values."""

import json
from collections.abc import Callable, Iterator
from itertools import count, cycle
from random import Random
from typing import Any

Lines = Iterator[bytes]
USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
GOOD = json.dumps({"messages": [USER, ANSWER]}).encode()
PNG = "data:image/png;base64,iVBORw0KGgo"
WRONG_VALUES: tuple[Any, ...] = (None, True, 1, "", "x", [], [1], {}, {"messages": 1}, {"messages": []}, [{}], [None])


def same(line: bytes) -> Callable[[], Lines]:
    return lambda: cycle([line])


def numbered(line: bytes) -> Callable[[], Lines]:
    """Lines that all differ: a number replaces the `#`."""
    before, after = line.split(b"#")
    return lambda: (b"%b%d%b" % (before, number, after) for number in count())


def chat(*messages: Any, **more: Any) -> bytes:
    return json.dumps({"messages": [*messages], **more}, separators=(",", ":")).encode()


def of_many(message: Any, times: int = 5_000, **more: Any) -> Callable[[], Lines]:
    """Long lines of a thousand times the same message, and an answer."""
    return same(chat(*[message] * times, ANSWER, **more))


def numbered_messages(message: bytes, times: int = 5_000) -> Callable[[], Lines]:
    def lines() -> Lines:
        messages = numbered(message)()
        while True:
            yield b'{"messages":[' + b",".join(next(messages) for _ in range(times)) + b"]}"

    return lines


def words(alphabet: str, letters: int, words: int) -> Callable[[], Lines]:
    """Valid examples of random words of so many letters."""

    def lines() -> Lines:
        chance = Random(4)
        while True:
            text = " ".join("".join(chance.choices(alphabet, k=letters)) for _ in range(words))
            yield json.dumps({"messages": [USER, {"role": "assistant", "content": text}]}, ensure_ascii=False).encode()

    return lines


def preferences() -> Lines:
    """Preference examples with each value wrong in one of their fields."""
    good = {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [USER]}
    return (
        json.dumps(good | {field: value}).encode() for _ in iter(int, 1) for field in good for value in WRONG_VALUES
    )


def completions() -> Lines:
    return (
        json.dumps({"prompt": value, "completion": other}).encode()
        for value in cycle(WRONG_VALUES)
        for other in (1, "")
    )


def tool(**parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", **parameters}}}


def schema(size: int, **inner: Any) -> dict[str, Any]:
    return tool(properties={f"p{number}": inner for number in range(size)})


def strict(size: int, **inner: Any) -> dict[str, Any]:
    """A strict tool that requires all of its properties."""
    names = [f"p{number}" for number in range(size)]
    declared = tool(properties=dict.fromkeys(names, inner), required=names)
    return declared | {"function": declared["function"] | {"strict": True}}


def with_tools(*tools: Any) -> Callable[[], Lines]:
    """Lines whose tools differ a little, so that no cache of tools helps."""
    line = chat(USER, ANSWER, tools=tools)
    return numbered(line.replace(b'"name":"f"', b'"name":"f#"', 1))


def calls(times: int, *more: Any) -> bytes:
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(times)]
    return chat(USER, {"role": "assistant", "content": None, "tool_calls": calls}, *more)


def image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
