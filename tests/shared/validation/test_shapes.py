"""Files that are almost, but not, lines of JSON examples: each has one finding, which names its shape."""

import json
from typing import Any

import pytest

from tests.shared.dataset_lines import GOOD, chat, checked, lines

NUMBERS = range(12)
OBJECTS = [chat(number) for number in NUMBERS]
TEXT = GOOD.decode()


def rows(make: Any) -> bytes:
    return lines(*(make(f"q{number}", f"a{number}") for number in NUMBERS))


def each_line(make: Any) -> bytes:
    return "".join(make(line) + "\n" for line in TEXT.splitlines()).encode()


SHAPES: list[tuple[str, bytes, str]] = [
    ("turns", rows(lambda q, a: [{"from": "human", "value": q}, {"from": "gpt", "value": a}]), "a list of turns"),
    ("messages", rows(lambda q, a: [{"role": "user", "content": q}]), "a list of turns"),
    ("array", json.dumps(OBJECTS).encode(), "one JSON array"),
    ("indented array", json.dumps(OBJECTS, indent=2).encode(), "one JSON array"),
    ("indented", "\n".join(json.dumps(each, indent=4) for each in OBJECTS).encode(), "pretty-printed"),
    ("indented, commas", ",\n".join(json.dumps(each, indent=1) for each in OBJECTS).encode(), "pretty-printed"),
    ("under a key", json.dumps({"data": OBJECTS}).encode(), "under `data`"),
    ("indented under a key", json.dumps({"train": OBJECTS}, indent=2).encode(), "under `train`"),
    ("glued", TEXT.replace("\n", "").encode(), "several objects on one line"),
    ("python", each_line(lambda line: repr(json.loads(line))), "Python's notation"),
    ("unquoted", each_line(lambda line: line.replace('"messages"', "messages")), "keys without quotes"),
    ("curly", each_line(lambda line: line.replace('"', "”")), "typographic quotes"),
    ("numbered", each_line(lambda line: "1. " + line), "a numbered list"),
    ("dashes", each_line(lambda line: "- " + line), "a numbered list"),
    ("log", each_line(lambda line: "2026-11-29 12:00:01 INFO " + line), "an object behind"),
    ("stream", each_line(lambda line: "data: " + line), "an object behind"),
    ("twice", each_line(json.dumps), "a text that holds JSON"),
    ("escaped", each_line(lambda line: line.replace('"', '\\"')), "escaped quotes"),
    ("html", b"<!DOCTYPE html>\n<html><body>\n<p>Sign in</p>\n", "a web page"),
    ("mac", GOOD.replace(b"\n", b"\r"), "\\r alone"),
    ("utf-16", TEXT.encode("utf-16"), "UTF-16"),
    ("utf-32", TEXT.encode("utf-32"), "UTF-32"),
    ("utf-32 without a mark", TEXT.encode("utf-32-be"), "UTF-32"),
    ("zeros", bytes(4_096), "zero bytes"),
    ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS"),
    ("cp1252", each_line(lambda line: line.replace("What", "Qué")).decode().encode("cp1252"), "not UTF-8"),
    ("csv", b"prompt,completion\n" + b"q,a\n" * 12, "CSV, with 2 columns"),
    ("tsv", b"prompt\tcompletion\n" + b"q\ta\n" * 12, "TSV"),
    ("semicolons", b"prompt;completion\n" + b"q;a\n" * 12, "CSV with semicolons"),
    ("yaml", b"- prompt: q\n  completion: a\n" * 12, "YAML"),
    ("sharegpt", rows(lambda q, a: {"conversations": [{"from": "human", "value": q}]}), "ShareGPT"),
    ("alpaca", rows(lambda q, a: {"instruction": q, "input": "", "output": a}), "Alpaca"),
    ("pairs", rows(lambda q, a: {"question": q, "answer": a}), "a question with its answer"),
    ("prompts", rows(lambda q, a: {"prompt": q, "response": a}), "a prompt with its response"),
    ("dpo", rows(lambda q, a: {"prompt": q, "chosen": a, "rejected": "no"}), "a preference of another trainer"),
    ("batch", rows(lambda q, a: {"custom_id": q, "method": "POST", "body": {"messages": []}}), "the batch API"),
    ("choices", rows(lambda q, a: {"id": q, "choices": [{"message": {"content": a}}]}), "an answer of the chat API"),
    ("gemini", rows(lambda q, a: {"contents": [{"role": "user", "parts": [{"text": q}]}]}), "Gemini"),
    ("one message", rows(lambda q, a: {"role": "user", "content": q}), "one message"),
    ("texts", rows(lambda q, a: {"text": q}), "a bare text"),
]

LINES = [
    (b"<<<<<<< HEAD\n", "a mark of a git merge conflict"),
    (b"```json\n", "a fence of Markdown"),
    (b"// the hard ones\n", "a comment"),
    (GOOD.splitlines()[0] * 2 + b"\n", "several objects on one line"),
    (repr(chat(90)).encode() + b"\n", "Python's notation"),
    (b'{"messages": None}\n', "with True, False or None"),
    (b"\xef\xbb\xbf" + lines(chat(90)), "a byte order mark at column 1"),
    (b"7) " + lines(chat(90)), "a numbered list"),
]


@pytest.mark.parametrize(("content", "words"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_a_shape_is_named_once(content: bytes, words: str) -> None:
    (problem,) = checked(content).problems
    assert words in problem.message
    assert problem.hint


@pytest.mark.parametrize(("line", "words"), LINES)
def test_one_such_line_among_examples_is_named_as_well(line: bytes, words: str) -> None:
    (problem,) = checked(GOOD + line).errors
    assert (problem.code, problem.line) == ("invalid_json", 13)
    assert words in problem.message
