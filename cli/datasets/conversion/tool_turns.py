"""Makes tool calls, their results and their declarations of what ShareGPT's turns say in texts."""

import json
from typing import Any

from cli.datasets.conversion.rows import RowProblem, kind, structured


class Calls:
    """The calls of a conversation: each gets an id, by which the result after it is joined to it."""

    def __init__(self) -> None:
        self._count = 0
        self._unanswered: list[str] = []

    def call(self, said: Any, path: str) -> list[dict[str, Any]]:
        """The `tool_calls` of a turn that holds one call, or a list of them, as JSON."""
        value = structured(said)
        calls = [self._one(each, path) for each in (value if isinstance(value, list) else [value])]
        self._unanswered += [call["id"] for call in calls]
        return calls

    def declared(self, calls: Any) -> None:
        """Note calls that have ids of their own."""
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                self._unanswered.append(call["id"])

    def answered_id(self, path: str) -> str:
        """The id of the call that a result answers: results come in the order of the calls."""
        if not self._unanswered:
            raise RowProblem(f"`{path}` is the result of a tool, but no call before it waits for one")
        return self._unanswered.pop(0)

    def answer(self, id: Any) -> None:
        if id in self._unanswered:
            self._unanswered.remove(id)

    def _one(self, call: Any, path: str) -> dict[str, Any]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RowProblem(f"`{path}` is a call, but not JSON with `name` and `arguments`")
        arguments = function.get("arguments", function.get("parameters", {}))
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        self._count += 1
        declared = {"name": function["name"], "arguments": arguments}
        return {"id": f"call_{self._count}", "type": "function", "function": declared}


def write_arguments_as_texts(message: dict[str, Any]) -> None:
    """Replace arguments that are objects by their JSON, as a model writes them; data sets often keep objects."""
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in (calls if isinstance(calls, list) else ()) if isinstance(call, dict)]
    for function in [*functions, message.get("function_call")]:
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict | list):
            function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)


def tools_of(value: Any, name: str) -> Any:
    """`tools` as the chat API has them: a list of objects of the type `function`, also where they come as a text."""
    tools = structured(value)
    if isinstance(tools, dict):
        tools = [tools]
    if not isinstance(tools, list):
        raise RowProblem(f"`{name}` is {kind(value)} that holds no list of functions")
    if name == "functions":
        return tools
    return [_wrapped(tool) for tool in tools]


def _wrapped(tool: Any) -> Any:
    is_bare = isinstance(tool, dict) and "function" not in tool and isinstance(tool.get("name"), str)
    if not is_bare:
        return tool
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}
