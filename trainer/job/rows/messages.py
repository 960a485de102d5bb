"""OpenAI's messages in the form that chat templates of open models expect."""

import json
from typing import Any

Message = dict[str, Any]


class Refused(Exception):
    """A row that cannot be trained on: what is wrong, and what to do. The line number is added by the reader."""


def for_template(messages: list[Message], template: str) -> list[Message]:
    """Texts instead of lists of parts, `system` instead of `developer`, arguments of calls as objects."""
    return [_message(message, template) for message in messages]


def tools_of(row: dict[str, Any], template: str) -> list[dict[str, Any]] | None:
    if row.get("functions"):
        raise Refused("has `functions`, the old form of tools. Write them as `tools`.")
    tools = row.get("tools")
    if tools and not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise Refused("has `tools` that are no list of objects. Write the list itself, not a text of it.")
    if tools and "tools" not in template:
        raise Refused("has tools, but the chat template of this base shows no tools. Choose a base that knows tools.")
    return tools or None


def _message(message: Message, template: str) -> Message:
    if message.get("function_call"):
        raise Refused("has a `function_call`, the old form of calls. Write it as `tool_calls`.")
    role = message.get("role")
    plain = {"role": "system" if role == "developer" else role, "content": _text(message.get("content"))}
    plain |= {field: message[field] for field in ("name", "tool_call_id") if message.get(field)}
    if message.get("tool_calls"):
        if "tool_calls" not in template:
            raise Refused("calls a tool, but the chat template of this base shows no calls. Choose a base that does.")
        plain["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return plain


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return str(part.get(kind) or "")
    if kind == "image_url":
        raise Refused("has an image, and this trainer trains on text only. Remove the example, or its image.")
    raise Refused(f"has a part of the type {json.dumps(kind)}, and this trainer trains on text only. Remove it.")


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """Templates write arguments as JSON themselves, so a text would be encoded twice."""
    function = dict(call.get("function") or {})
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError):
        arguments = None
    if isinstance(arguments, dict):
        function["arguments"] = arguments
    return {"id": call.get("id"), "type": "function", "function": function}
