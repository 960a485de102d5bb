"""The rules of tools: how functions are declared, called and answered."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from pydantic_core import SchemaValidator, core_schema

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.rules.limits import Limits
from shared.datasets.validation.rules.tool_schema import examine_parameters
from shared.datasets.validation.rules.values import NAME, Numbered, is_json_text, kind, listed

# msgspec accepts deeper nesting and longer numbers than json.loads; within these bounds both agree.
MAX_QUICK_BRACKETS, MAX_QUICK_CHARACTERS = 100, 4_000
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode = msgspec.json.Encoder().encode
# Whether JSON may have a number that msgspec writes in another way than `json`: with an exponent, or very small.
_may_differ = SchemaValidator(
    core_schema.str_schema(pattern=r"(?-u:[0-9]e[-+]?[0-9]|0\.000)", regex_engine="rust-regex")
).isinstance_python
_decode = msgspec.json.Decoder().decode
# What only `json` reads: NaN, infinity, escaped half surrogate pairs, and numbers that are too large for msgspec.
_may_be_read_by_json = SchemaValidator(
    core_schema.str_schema(pattern=r"NaN|Infinity|\\u[dD]|[eE][-+]?[0-9]{3}|[0-9]{200}", regex_engine="rust-regex")
).isinstance_python


def examine_tools(value: dict[str, Any], path: str, limits: Limits) -> Iterator[Finding]:
    """The findings in `tools`, in `functions` (the older form) and in `parallel_tool_calls`."""
    if not isinstance(value.get("parallel_tool_calls"), bool | None):
        yield Finding("invalid_type", f"{path}.parallel_tool_calls", "`parallel_tool_calls` must be true or false")
    if isinstance(value.get("parallel_tool_calls"), bool) and not value.get("tools"):
        message = "`parallel_tool_calls` means something only beside `tools`"
        yield Finding("pointless_key", f"{path}.parallel_tool_calls", message)
    if value.get("tools") and value.get("functions"):
        yield Finding("pointless_key", f"{path}.functions", "`functions` is the older form of `tools`: both are given")
    names: set[str] = set()
    for key in ("tools", "functions"):
        declared = value.get(key)
        if declared is None:
            continue
        if not isinstance(declared, list):
            yield _not_a_list(declared, key, path)
            continue
        if len(declared) > limits.max_functions:
            message = f"{len(declared)} functions are declared, but at most {limits.max_functions} are allowed"
            yield Finding("invalid_tool", f"{path}.{key}", message)
        for index, tool in enumerate(declared):
            yield from _examine_tool(tool, key, f"{path}.{key}[{index}]", names)


def _not_a_list(declared: Any, key: str, path: str) -> Finding:
    if is_json_text(declared):
        message = f"`{key}` is a text that holds JSON; it must be the list itself"
        return Finding("invalid_type", f"{path}.{key}", message, hint=f"Decode the text: write `{key}` as a JSON list")
    return Finding("invalid_type", f"{path}.{key}", f"`{key}` must be a list, but this is {kind(declared)}")


def _examine_tool(tool: Any, key: str, path: str, names: set[str]) -> Iterator[Finding]:
    function = tool
    if key == "tools" and isinstance(tool, dict) and tool.get("type") == "custom":
        yield Finding(
            "untrained_tool", path, "a custom tool takes a text instead of arguments, which is not trained on"
        )
        return
    if key == "tools":
        if not isinstance(tool, dict) or tool.get("type") != "function":
            yield Finding("invalid_tool", path, "a tool must be an object of the type `function`")
            return
        function, path = tool.get("function"), f"{path}.function"
    if not isinstance(function, dict):
        yield Finding("invalid_tool", path, f"a function must be an object, but this is {kind(function)}")
        return
    name = function.get("name")
    if not isinstance(name, str) or not NAME.match(name):
        yield Finding(
            "invalid_tool", f"{path}.name", "the name of a function must have 1 to 64 letters, digits, _ and -"
        )
    elif name in names:
        yield Finding("duplicate_tool", f"{path}.name", f"another function is called {name!r}")
    else:
        names.add(name)
    for field, type_, what in (("description", str, "a string"), ("parameters", dict, "an object")):
        if not isinstance(function.get(field), type_ | None):
            yield Finding("invalid_tool", f"{path}.{field}", f"`{field}` must be {what}")
    if isinstance(function.get("parameters"), dict):
        strict = function.get("strict") is True
        yield from examine_parameters(function["parameters"], f"{path}.parameters", strict=strict)


def declared_names(value: dict[str, Any]) -> frozenset[str]:
    tools = [tool.get("function") for tool in listed(value.get("tools")) if isinstance(tool, dict)]
    functions = [f for f in tools + listed(value.get("functions")) if isinstance(f, dict)]
    return frozenset(f["name"] for f in functions if isinstance(f.get("name"), str))


def text_of_tools(value: dict[str, Any]) -> str:
    """The declarations as text. Their tokens are billed; no provider publishes the rule, so their JSON is counted."""
    return "".join(_as_json(value[key]) for key in ("tools", "functions") if value.get(key))


def _as_json(value: Any) -> str:
    """The value as `json` writes it, by msgspec where that writes the same: it is ten times faster."""
    try:
        encoded = _encode(value)
    except ValueError:  # half a surrogate pair
        return _dumps(value)
    return _dumps(value) if _may_differ(encoded) else encoded.decode()


def examine_calls(messages: Numbered, path: str, declared: frozenset[str]) -> Iterator[Finding]:
    """The findings in the assistant's calls; `declared` are the functions that the example offers."""
    for index, message in messages:
        is_answer = isinstance(message, dict) and message.get("role") == "assistant"
        if is_answer and ("tool_calls" in message or "function_call" in message):
            yield from _examine_message_calls(message, f"{path}[{index}]", declared)


def _examine_message_calls(message: dict[str, Any], path: str, declared: frozenset[str]) -> Iterator[Finding]:
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        yield Finding("invalid_tool_call", f"{path}.tool_calls", f"`tool_calls` must be a list, but is {kind(calls)}")
    elif calls == []:
        yield Finding("pointless_key", f"{path}.tool_calls", "`tool_calls` is empty")
    if calls and message.get("function_call") is not None:
        message_ = "`function_call` is the older form of `tool_calls`: both are given"
        yield Finding("pointless_key", f"{path}.function_call", message_)
    for index, call in enumerate(listed(calls)):
        call_path = f"{path}.tool_calls[{index}]"
        if not isinstance(call, dict):
            yield Finding("invalid_tool_call", call_path, f"a call must be an object, but this is {kind(call)}")
            continue
        if not isinstance(call.get("id"), str):
            yield Finding("invalid_tool_call", f"{call_path}.id", "a call needs an `id` that is a string")
        if call.get("type") == "custom" and isinstance(call.get("custom"), dict):
            yield Finding("untrained_tool", call_path, "a call of a custom tool is not trained on")
            continue
        if call.get("type", "function") != "function":
            yield Finding("invalid_tool_call", f"{call_path}.type", "the `type` of a call must be `function`")
        yield from _examine_function_call(call.get("function"), f"{call_path}.function", declared)
    if message.get("function_call") is not None:
        yield from _examine_function_call(message["function_call"], f"{path}.function_call", declared)


def _examine_function_call(function: Any, path: str, declared: frozenset[str]) -> Iterator[Finding]:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        yield Finding("invalid_tool_call", path, "a call needs a `function` with a `name`")
        return
    name, arguments = function["name"], function.get("arguments")
    if name not in declared:
        yield Finding("undeclared_tool", f"{path}.name", f"the function {name[:64]!r} is not declared in this example")
    if not isinstance(arguments, str):
        message = f"`arguments` must be a string of JSON, but this is {kind(arguments)}"
        yield Finding("arguments_not_a_string", f"{path}.arguments", message)
    elif not is_json(arguments):
        yield Finding("arguments_not_json", f"{path}.arguments", "`arguments` is a string that is not valid JSON")
    elif not is_object(arguments):
        message, hint = "`arguments` is JSON, but no object", "Write an object with each argument under its name"
        yield Finding("arguments_not_json", f"{path}.arguments", message, hint=hint)


def is_object(arguments: str) -> bool:
    """Whether what is JSON is an object."""
    return arguments.lstrip()[:1] == "{"


def is_json(text: str) -> bool:
    """Whether `json.loads` accepts the text, which allows NaN and infinity. msgspec is asked first, being faster."""
    if len(text) <= MAX_QUICK_CHARACTERS and text.count("[") + text.count("{") <= MAX_QUICK_BRACKETS:
        try:
            _decode(text)
            return True
        except UnicodeEncodeError:  # half a surrogate pair, which only `json` reads
            pass
        except (ValueError, RecursionError):
            if not _may_be_read_by_json(text):
                return False
    return _is_read_by(json.loads, text)


def _is_read_by(decode: Callable[[str], Any], text: str) -> bool:
    try:
        decode(text)
    except (ValueError, RecursionError):
        return False
    return True
