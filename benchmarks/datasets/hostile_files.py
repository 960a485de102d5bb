"""The files that are as slow to check as we know how to make them: each line is wrong, tiny, deep, huge or odd."""

import json
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path

from benchmarks.datasets.hostile_lines import (
    ANSWER,
    GOOD,
    PNG,
    USER,
    Lines,
    calls,
    chat,
    completions,
    image,
    numbered,
    numbered_messages,
    of_many,
    preferences,
    same,
    schema,
    strict,
    tool,
    with_tools,
    words,
)
from benchmarks.datasets.hostile_odd import ODD_FILES, ODD_NO_CHAT

KANJI = "".join(map(chr, range(0x4E00, 0x9FA5)))
LETTERS = "abcdefghijklmnopqrstuvwxyz"
EQUAL_OUTPUTS = {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]}
ANSWERS_OF_TOOLS = [{"role": "tool", "tool_call_id": f"c{n}", "content": "a"} for n in range(50)]
FILES: dict[str, Callable[[], Lines]] = {
    "lines of {}": same(b"{}"),
    "lines of {} alone": same(b"{}"),
    "lines of []": same(b"[]"),
    "lines of null": same(b"null"),
    "empty lines": same(b""),
    "lines of one byte": same(b"1"),
    "lines of a brace": same(b"{"),
    "every second line empty": lambda: cycle([b"", b"{}"]),
    "numbers, all different": numbered(b"#"),
    "objects, all different": numbered(b'{"a":#}'),
    "messages is a number": numbered(b'{"messages":#}'),
    "short examples, all different": numbered(b'{"messages":[{"role":"user","content":"#"}]}'),
    "broken JSON, all different": numbered(b'{"a":#'),
    "a good example after each {}": lambda: cycle([b"{}", GOOD]),
    "arrays 300 deep": same(b"[" * 300 + b"]" * 300),
    "arrays 100 deep, with strings": same(b'["",' * 99 + b"1" + b"]" * 99),
    "brackets without an end": same(b"[" * 100_000),
    "1,000 unknown keys": same(chat(USER, ANSWER, **{f"k{number}": 1 for number in range(1_000)})),
    "1,000 unknown keys in a message": same(chat(USER | {f"k{number}": 1 for number in range(1_000)}, ANSWER)),
    "one repeated key among many": same(
        b"{" + b"".join(b'"k%d":1,' % n for n in range(20_000)) + b'"k7":2,' + GOOD[1:]
    ),
    "a repeated key": same(GOOD[:-1] + b',"messages":[]}'),
    "many repeated keys": same(b"{" + b'"a":1,"a":2,' * 1_000 + GOOD[1:]),
    "keys in escapes": same(GOOD.replace(b"role", b"\\u0072ole")),
    "a lone surrogate": same(GOOD.replace(b"Hi", b"\\ud800")),
    "many lone surrogates": same(chat(*[USER | {"content": "\ud800"}] * 1_000, ANSWER)),
    "NUL": same(GOOD.replace(b"Hi", b"\\u0000")),
    "invalid UTF-8": same(GOOD.replace(b"Hi", b"\xff")),
    "a byte order mark on each line": same(b"\xef\xbb\xbf" + GOOD),
    "UTF-16 behind a good line": same(GOOD.decode().encode("utf-16-le")),
    "numbers of 4,000 digits": same(chat(USER, ANSWER, n=0)[:-2] + b"1" * 4_000 + b"}"),
    "many numbers of 300 digits": same(chat(USER, ANSWER, n=0)[:-2] + b"[" + b",".join([b"1" * 300] * 100) + b"]}"),
    "1e999999": same(chat(USER, ANSWER, n=0)[:-2] + b"1e999999}"),
    "white space before the brace": same(b" " * 500 + GOOD),
    "lines of white space": same(b" " * 500),
    "CSV": numbered(b"question,answer,#"),
    "YAML": same(b"- role: user"),
    "Python's notation": same(b"{'messages': [{'role': 'user', 'content': None}]}"),
    "one message a line": numbered(b'{"role":"user","content":"#"}'),
    "ShareGPT": same(b'{"conversations":[{"from":"human","value":"Hi"}]}'),
    "text behind the JSON": same(GOOD + b" ;"),
    "two examples on a line": same(GOOD + GOOD),
    "a message that is null": of_many(None),
    "messages that are numbers": numbered_messages(b"#"),
    "messages that are {}": of_many({}),
    "an unknown role in each message": of_many({"role": "bot", "content": "Hi"}),
    "unknown roles, all different": numbered_messages(b'{"role":"b#","content":"Hi"}'),
    "content of the wrong type": numbered_messages(b'{"role":"user","content":#}'),
    "content that is empty": of_many({"role": "user", "content": ""}),
    "tiny messages, 5,000 a line": of_many({"role": "user", "content": "a"}),
    "tiny messages, 20 a line": of_many({"role": "user", "content": "a"}, 20),
    "an example of each length": lambda: (chat(*[USER] * (n % 500), ANSWER) for n in count()),
    "weights of users": of_many(USER | {"weight": 1}, 20),
    "wrong weights": numbered_messages(b'{"role":"assistant","content":"a","weight":#}'),
    "names that are not allowed": of_many(USER | {"name": "b b"}, 20),
    "empty parts": of_many({"role": "user", "content": [{}] * 5}, 20),
    "parts that are numbers": same(chat({"role": "user", "content": list(range(5_000))}, ANSWER)),
    "text parts": same(chat({"role": "user", "content": [{"type": "text", "text": "a"}] * 5_000}, ANSWER)),
    "untrained parts": same(chat({"role": "user", "content": [{"type": "file", "file": {}}] * 500}, ANSWER)),
    "images cut off": same(chat(image(PNG + "A" * 40), ANSWER)),
    "images that are no base64": numbered(chat(image(PNG + "-#"), ANSWER)),
    "images by address": same(chat(*[image("https://a.b/c")] * 9, ANSWER)),
    "a PNG of empty chunks": same(chat(image(PNG + "oAAAAAAAAAAAAAAAA" * 4_000 + "A" * (-4_000 % 4)), ANSWER)),
    "calls without answers": same(calls(1_000, USER)),
    "answers without calls": of_many({"role": "tool", "tool_call_id": "c", "content": "a"}, 100),
    "calls and answers": same(
        calls(50, *({"role": "tool", "tool_call_id": f"c{n}", "content": "a"} for n in range(50)))
    ),
    "calls that are numbers": same(chat(USER, ANSWER | {"tool_calls": list(range(5_000))})),
    "tools that are numbers": same(chat(USER, ANSWER, tools=list(range(5_000)))),
    "a huge schema": with_tools(schema(5_000, type="string")),
    "a huge wrong schema": with_tools(schema(5_000, type="str")),
    "a schema that requires what it lacks": with_tools(tool(properties={}, required=[f"r{n}" for n in range(5_000)])),
    "a strict schema": with_tools(strict(2_000, type="object")),
    "strict, and much required": with_tools(strict(5_000)),
    "many tools": with_tools(*[tool()] * 1_000),
    "long broken arguments": same(calls(1).replace(b"{}", b"[" * 90 + b"1," * 1_000)),
    "preferences, each field wrong": preferences,
    "completions, each field wrong": completions,
    "equal outputs": same(json.dumps(EQUAL_OUTPUTS).encode()),
    "duplicates": same(GOOD),
    "near duplicates": lambda: (GOOD.replace(b"Hi", b"Hi" + b"!" * (n % 97) + b"?" * (n % 89)) for n in count()),
    "ends alike, all different": numbered(GOOD.replace(b"Hi", b"# " + b"Hi" * 20)),
    "secrets": same(GOOD.replace(b"Hi", b"sk-" + b"a1" * 20)),
    "many secrets": same(GOOD.replace(b"Hi", (b"sk-" + b"a1" * 20 + b" ") * 500)),
    "nearly secrets": same(GOOD.replace(b"Hi", b"sk-a " * 500)),
    "many different kanji": words(KANJI, 200, 5),
    "different kanji, one by one": words(KANJI, 1, 500),
    "words without an end": words(LETTERS, 100_000, 1),
    "one letter without an end": words("a", 100_000, 1),
    "short random words": words(LETTERS, 6, 200),
    "random bytes in Latin-1": words("".join(map(chr, range(0xA1, 0x250))), 30, 10),
    "emoji": words("".join(map(chr, range(0x1F300, 0x1F6FF))), 30, 10),
    "spaces without an end": same(GOOD.replace(b"Hi", b" " * 50_000 + b"a")),
    "mixed spaces": same(GOOD.replace(b"Hi", " \u2003\\t\xa0a".encode() * 5_000)),
    "line breaks": same(GOOD.replace(b"Hi", b"\\n \\r\\n" * 5_000)),
    "digits": words("0123456789", 50_000, 1),
    "punctuation": words("!?.,;:-_()[]", 50_000, 1),
    **ODD_FILES,
}
NO_CHAT = {"lines of {} alone", "preferences, each field wrong", "completions, each field wrong", "equal outputs"}
NO_CHAT |= ODD_NO_CHAT


def write(path: Path, name: str, megabytes: float) -> Path:
    """Write the file of this `name`. A good line comes first, so that the start of the file does not decide on it."""
    size, lines = 0, FILES[name]()
    with path.open("wb") as file:
        if name not in NO_CHAT:
            file.write(GOOD + b"\n")
        while size < megabytes * 1_000_000:
            size += file.write(next(lines) + b"\n")
    return path
