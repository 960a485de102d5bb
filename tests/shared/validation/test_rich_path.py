"""Lines with tools, calls, names, weights and parts are good by types, or examined: what is said is the same."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.lines.examine import examine_line
from shared.datasets.validation.lines.rich import RichDecoder
from shared.datasets.validation.lines.secrets import is_suspicious
from shared.datasets.validation.rules.limits import rules
from tests.shared.dataset_lines import checked, codes, lines
from tests.shared.validation.paths import OF_ROLES

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a: b": 1}'}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
FOUND = {"role": "tool", "content": "3", "tool_call_id": "c"}
USER = {"role": "user", "name": "bob", "content": [{"type": "text", "text": "a: b"}]}
ANSWER = {"role": "assistant", "content": "b", "weight": 1}
OPENAI = rules().limits("openai")


def example(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": "s"}, *messages], **more}


GOOD = [
    example(USER, ANSWER),
    example(USER, CALLED, FOUND, ANSWER, tools=[TOOL], parallel_tool_calls=False),
    example(USER, {**ANSWER, "weight": 0}, USER, ANSWER),
    example(USER, {"role": "assistant", "refusal": "no"}),
    {"input": example(USER), "preferred_output": [ANSWER], "non_preferred_output": [{**ANSWER, "content": "c"}]},
]


@pytest.mark.parametrize("good", GOOD)
def test_common_good_lines_are_read_by_types(good: dict[str, Any]) -> None:
    (line,) = lines(good).splitlines(keepends=True)
    format_ = "chat" if "messages" in good else "preference"
    read = RichDecoder(format_, OPENAI).read([line], line, is_suspicious(line))
    assert read == ([examine_line(line, format_, "openai").messages], {}, False)


UNION = {"anyOf": [{"type": "string"}, {"type": "null"}]}
UNIONS = {**TOOL, "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": UNION}}}}
CUSTOM = {**CALLED, "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f"}}]}
OLD = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
REFUSED = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
IMAGE = {"type": "image_url", "image_url": {"url": "https://a.b/c", "detail": "low"}}
FILE = {"type": "file", "file": {"file_id": "f"}}
SECRET = "sk-" + "a1" * 20
ODD: list[Any] = [
    *(None, True, 0, 1, 2, 1.0, "", "f", "x y", "c", "{", "NaN", [], {}, [{"type": "text"}]),
    *("\0", "\ud800", "\ud83d\ude00", SECRET, f"é{SECRET} {SECRET}", [IMAGE], [IMAGE] * 11, [FILE], [FILE, IMAGE]),
    *([{"text": "x"}], [{"content": "a"}], [{"type": "refusal", "refusal": "x"}]),
]


WARNED = [
    example({**USER, "weight": 1, "name": "b b"}, {**ANSWER, "weight": 0}),
    example(
        {**USER, "content": [IMAGE, FILE, {"type": "text", "text": SECRET}]}, CALLED, {**FOUND, "weight": 0}, ANSWER
    ),
    example(USER, CALLED, {**FOUND, "content": [{"type": "text", "text": "3"}]}, ANSWER, parallel_tool_calls=True),
    example(USER, CALLED, FOUND, ANSWER, id=1, tools=[TOOL], reference={"answer": ["3"]}),
    example(USER, CUSTOM, FOUND, OLD, {"role": "function", "name": "f", "content": "3"}, {**ANSWER, "weight": 1.0}),
    example(USER, REFUSED, USER, {**ANSWER, "tool_calls": []}, tools=[UNIONS], id=[{"a": 1}]),
    {**GOOD[-1], "id": 1},
    {"messages": [USER], "reference": "3", "preferred_completion": 1},
]
TAKEN: list[Any] = [
    *GOOD,
    *WARNED,
    {"prompt": "a", "completion": "b"},
    {"prompt": "a", "completion": "b", "id": 1},
    {"prompt": "a", "completion": "b", "messages": 1},
]


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A good line with some values changed or left out, and sometimes a key that is there twice."""
    value = json.loads(json.dumps(draw(st.sampled_from(TAKEN))))
    for _ in range(draw(st.integers(0, 2))):
        inner: Any = value
        while isinstance(inner, dict | list) and inner:
            key = draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
            if not isinstance(inner[key], dict | list) or not inner[key] or draw(st.integers(0, 9)) == 0:
                inner[key] = json.loads(json.dumps(draw(st.sampled_from(ODD))))
                break
            inner = inner[key]
    line = json.dumps(value)
    keys = (
        "role",
        "content",
        "name",
        "weight",
        "type",
        "tools",
        "arguments",
        "properties",
        "tool_call_id",
        "reference",
        "id",
    )
    twice = draw(st.sampled_from([None, *keys]))
    again = draw(st.sampled_from(["1", '"f"', "null", '"\\u003a"']))
    return line.replace(f'"{twice}":', f'"{twice}": {again}, "{twice}":', 1).encode() + b"\n"


@settings(max_examples=500, deadline=None, database=None)
@given(changed(), st.sampled_from(["chat", "preference", "reinforcement", "completion"]))
def test_what_types_take_has_no_error_and_the_warnings_that_they_count(line: bytes, format_: str) -> None:
    read = RichDecoder(format_, OPENAI).read([line], line, is_suspicious(line))
    examined = examine_line(line, format_, "openai")
    if read is not None:
        assert read.examples == [examined.messages]
        assert read.found == Counter(found.code for found in examined.findings if found.code not in OF_ROLES)


@pytest.mark.parametrize("calls", [[{}], [1], 3, [{"function": {"name": "f"}}]])
def test_a_broken_call_in_an_output_is_an_error(calls: Any) -> None:
    bad = {**GOOD[-1], "preferred_output": [{**ANSWER, "tool_calls": calls}]}
    assert codes(checked(lines(*[bad] * 10))) & {"invalid_tool_call", "arguments_not_a_string"}
