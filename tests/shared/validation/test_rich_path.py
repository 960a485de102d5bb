"""Lines with tools, calls, names, weights and parts are good by types, or examined: what is said is the same."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.lines.examine import examine_line
from shared.datasets.validation.lines.rich import RichDecoder
from shared.datasets.validation.rules.limits import rules
from tests.shared.dataset_lines import checked, codes, lines

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
    read = RichDecoder(format_, OPENAI).read([line], line)
    assert read == [examine_line(line, format_, "openai").messages]


ODD: list[Any] = [None, True, 0, 1, 2, 1.0, "", "f", "x y", "c", "{", "NaN", [], {}, [{"type": "text"}], "\0"]


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A good line with some values changed or left out, and sometimes a key that is there twice."""
    value = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    for _ in range(draw(st.integers(0, 2))):
        inner: Any = value
        while isinstance(inner, dict | list) and inner:
            key = draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
            if not isinstance(inner[key], dict | list) or not inner[key] or draw(st.integers(0, 9)) == 0:
                inner[key] = json.loads(json.dumps(draw(st.sampled_from(ODD))))
                break
            inner = inner[key]
    line = json.dumps(value)
    keys = ("role", "content", "name", "weight", "type", "tools", "arguments", "properties", "tool_call_id")
    twice = draw(st.sampled_from([None, *keys]))
    again = draw(st.sampled_from(["1", '"f"', "null", '"\\u003a"']))
    return line.replace(f'"{twice}":', f'"{twice}": {again}, "{twice}":', 1).encode() + b"\n"


@settings(max_examples=500, deadline=None, database=None)
@given(changed(), st.sampled_from(["chat", "preference", "reinforcement"]))
def test_what_types_take_for_good_has_no_finding_but_of_its_roles(line: bytes, format_: str) -> None:
    read = RichDecoder(format_, OPENAI).read([line], line)
    examined = examine_line(line, format_, "openai")
    if read is not None:
        assert read == [examined.messages]
        assert {finding.code for finding in examined.findings} <= {
            "missing_system_message",
            "missing_user_message",
            "last_message_not_assistant",
        }


@pytest.mark.parametrize("calls", [[{}], [1], 3, [{"function": {"name": "f"}}]])
def test_a_broken_call_in_an_output_is_an_error(calls: Any) -> None:
    bad = {**GOOD[-1], "preferred_output": [{**ANSWER, "tool_calls": calls}]}
    assert codes(checked(lines(*[bad] * 10))) & {"invalid_tool_call", "arguments_not_a_string"}
