"""The rules of tools: how functions are declared, called and answered."""

from typing import Any

import pytest

from tests.shared.validation.paths import ANSWER, SYSTEM, USER, Case, chat, found

FUNCTION: dict[str, Any] = {"name": "f", "parameters": {"type": "object", "properties": {}}}
TOOL = {"type": "function", "function": FUNCTION}
NAME = "$.tools[0].function.name"


def tool(**changes: Any) -> list[Any]:
    return [{"type": "function", "function": {**FUNCTION, **changes}}]


def call(**changes: Any) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}, **changes}


def calling(*calls: Any, tools: Any = (TOOL,), after: tuple[Any, ...] | None = None) -> dict[str, Any]:
    """An example with these calls, each answered unless `after` says what follows them."""
    ids = [call["id"] for call in calls if isinstance(call, dict) and isinstance(call.get("id"), str)]
    after = tuple(map(result, ids)) if after is None else after
    return chat({"role": "assistant", "content": None, "tool_calls": list(calls)}, *after, tools=list(tools))


def arguments(text: Any) -> dict[str, Any]:
    return calling(call(function={"name": "f", "arguments": text}))


def result(id: Any) -> dict[str, Any]:
    return {"role": "tool", "content": "3", "tool_call_id": id}


def many(count: int) -> list[Any]:
    return [{"type": "function", "function": {**FUNCTION, "name": f"f{number}"}} for number in range(count)]


DECLARED: list[Case] = [
    (chat(tools=[TOOL]), []),
    (chat(tools=[]), []),
    (chat(tools=None), []),
    (chat(functions=[FUNCTION]), []),
    (chat(tools=tool(name="x" * 64)), []),
    (chat(tools=tool(description="d")), []),
    (chat(tools=tool(description=None, parameters=None)), []),
    (chat(tools="f"), ["error invalid_type $.tools"]),
    (chat(tools={}), ["error invalid_type $.tools"]),
    (chat(functions=1), ["error invalid_type $.functions"]),
    (chat(tools=["f"]), ["error invalid_tool $.tools[0]"]),
    (chat(tools=[{"function": FUNCTION}]), ["error invalid_tool $.tools[0]"]),
    (chat(tools=[{"type": "code", "function": FUNCTION}]), ["error invalid_tool $.tools[0]"]),
    (chat(tools=[TOOL, {"type": "function"}]), ["error invalid_tool $.tools[1].function"]),
    (chat(tools=[{"type": "function", "function": "f"}]), ["error invalid_tool $.tools[0].function"]),
    (chat(functions=["f"]), ["error invalid_tool $.functions[0]"]),
    (chat(functions=[{}]), ["error invalid_tool $.functions[0].name"]),
    (chat(tools=tool(name=None)), [f"error invalid_tool {NAME}"]),
    (chat(tools=tool(name="")), [f"error invalid_tool {NAME}"]),
    (chat(tools=tool(name="a b")), [f"error invalid_tool {NAME}"]),
    (chat(tools=tool(name="x" * 65)), [f"error invalid_tool {NAME}"]),
    (chat(tools=tool(description=1)), ["error invalid_tool $.tools[0].function.description"]),
    (chat(tools=tool(parameters=[])), ["error invalid_tool $.tools[0].function.parameters"]),
    (chat(tools=[*many(128)]), []),
    (chat(tools=[*many(129)]), ["error invalid_tool $.tools"]),
    (chat(tools=[TOOL, TOOL]), ["warning duplicate_tool $.tools[1].function.name"]),
    (
        chat(tools=[TOOL], functions=[FUNCTION]),
        ["warning duplicate_tool $.functions[0].name", "warning pointless_key $.functions"],
    ),
    (chat(tools='[{"type": "function"}]'), ["error invalid_type $.tools"]),
    (chat(tools=[{"type": "custom", "custom": {"name": "f"}}]), ["warning untrained_tool $.tools[0]"]),
    (chat(parallel_tool_calls=True), ["warning pointless_key $.parallel_tool_calls"]),
    (chat(parallel_tool_calls=False, tools=[]), ["warning pointless_key $.parallel_tool_calls"]),
    (chat(parallel_tool_calls=True, tools=[TOOL]), []),
    (chat(parallel_tool_calls=None), []),
    (chat(parallel_tool_calls=1), ["error invalid_type $.parallel_tool_calls"]),
    (chat(parallel_tool_calls="yes"), ["error invalid_type $.parallel_tool_calls"]),
]

CALLS = "$.messages[1].tool_calls"
CALLED: list[Case] = [
    (calling(call()), []),
    (calling(call(), call(id="d")), []),
    (calling({"id": "c", "function": {"name": "f", "arguments": "{}"}}), []),
    (calling(), [f"warning pointless_key {CALLS}", "error missing_content $.messages[1].content"]),
    (
        calling({"id": "c", "type": "custom", "custom": {"name": "f", "input": "a"}}),
        [f"warning untrained_tool {CALLS}[0]"],
    ),
    (calling(call(), call(), after=(result("c"),)), [f"error duplicate_tool_call_id {CALLS}[1].id"]),
    (
        chat(
            {"role": "assistant", "content": None, "tool_calls": [call()], "function_call": call()["function"]},
            result("c"),
            tools=[TOOL],
        ),
        ["warning pointless_key $.messages[1].function_call"],
    ),
    (chat({"role": "assistant", "content": "a", "tool_calls": None}), []),
    (chat({"role": "assistant", "content": "a", "tool_calls": {}}), [f"error invalid_tool_call {CALLS}"]),
    (calling("f"), [f"error invalid_tool_call {CALLS}[0]"]),
    (calling(call(id=1)), [f"error invalid_tool_call {CALLS}[0].id"]),
    (calling({"function": call()["function"]}), [f"error invalid_tool_call {CALLS}[0].id"]),
    (calling(call(type="code")), [f"error invalid_tool_call {CALLS}[0].type"]),
    (calling(call(function=None)), [f"error invalid_tool_call {CALLS}[0].function"]),
    (calling(call(function={"arguments": "{}"})), [f"error invalid_tool_call {CALLS}[0].function"]),
    (calling(call(), tools=[]), [f"warning undeclared_tool {CALLS}[0].function.name"]),
    (
        chat({"role": "assistant", "content": None, "function_call": call()["function"]}, functions=[FUNCTION]),
        [],
    ),
    (
        chat({"role": "assistant", "content": None, "function_call": {"name": "g", "arguments": "{"}}),
        [
            "warning arguments_not_json $.messages[1].function_call.arguments",
            "warning undeclared_tool $.messages[1].function_call.name",
        ],
    ),
    (
        chat({"role": "assistant", "content": "a", "function_call": "f"}),
        ["error invalid_tool_call $.messages[1].function_call"],
    ),
]

ARGUMENTS = f"{CALLS}[0].function.arguments"
WRITTEN: list[Case] = [
    (arguments("{}"), []),
    (arguments(' {"a": 1}'), []),
    (arguments("[1, 2]"), [f"warning arguments_not_json {ARGUMENTS}"]),
    (arguments('"a"'), [f"warning arguments_not_json {ARGUMENTS}"]),
    (arguments('{"a": NaN}'), []),
    (arguments('{"a": ' + "1" * 400 + "}"), []),
    (arguments('{"a": ' + "[" * 200 + "]" * 200 + "}"), []),
    (arguments(""), [f"warning arguments_not_json {ARGUMENTS}"]),
    (arguments("{'a': 1}"), [f"warning arguments_not_json {ARGUMENTS}"]),
    (arguments('{"a": 1'), [f"warning arguments_not_json {ARGUMENTS}"]),
    (arguments("[" * 5_000), [f"warning arguments_not_json {ARGUMENTS}"]),
    (arguments({"a": 1}), [f"error arguments_not_a_string {ARGUMENTS}"]),
    (arguments(None), [f"error arguments_not_a_string {ARGUMENTS}"]),
    (calling(call(function={"name": "f"})), [f"error arguments_not_a_string {ARGUMENTS}"]),
]

ASKED = {"role": "assistant", "content": None, "tool_calls": [call()]}
ANSWERED: list[Case] = [
    (calling(call(), after=(result("c"),)), []),
    (calling(call(), after=(result("c"), result("c"))), ["error unknown_tool_call_id $.messages[3].tool_call_id"]),
    (calling(call(), after=()), [f"error unanswered_tool_call {CALLS}[0].id"]),
    (calling(call(), after=(ANSWER,)), [f"error unanswered_tool_call {CALLS}[0].id"]),
    (calling(call(), call(id="d"), after=(result("d"), result("c"))), []),
    (calling(call(), call(id="d"), after=(result("c"),)), [f"error unanswered_tool_call {CALLS}[1].id"]),
    (
        calling(call(), after=(USER, result("c"))),
        [f"error unanswered_tool_call {CALLS}[0].id", "error unknown_tool_call_id $.messages[3].tool_call_id"],
    ),
    (
        calling(call(), after=(result("d"),)),
        [f"error unanswered_tool_call {CALLS}[0].id", "error unknown_tool_call_id $.messages[2].tool_call_id"],
    ),
    (chat(result("c")), ["error unknown_tool_call_id $.messages[1].tool_call_id"]),
    ({"messages": [SYSTEM, USER, ASKED], "tools": [TOOL]}, []),
    (
        {"messages": [SYSTEM, USER, {**ASKED, "tool_calls": [call(), call(id="d")]}, result("d")], "tools": [TOOL]},
        [
            "error unanswered_tool_call $.messages[2].tool_calls[0].id",
            "warning last_message_not_assistant $.messages",
        ],
    ),
]

CASES = [*DECLARED, *CALLED, *WRITTEN, *ANSWERED]


@pytest.mark.parametrize(("example", "expected"), CASES)
def test_tools_and_calls_have_these_findings(example: Any, expected: list[str]) -> None:
    assert found(example) == sorted(expected)


def test_a_tool_message_may_not_stand_before_the_call_that_it_answers() -> None:
    example = calling(call())
    example["messages"].insert(1, result("c"))
    assert found(example) == ["error unknown_tool_call_id $.messages[1].tool_call_id"]
