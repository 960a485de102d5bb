"""A slow, obvious checker of one line of a chat file, to hold the engine against: the codes that it must give."""

import json
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
KEYS = {"role", "content", "name", "weight"}
ASSISTANT_KEYS = KEYS | {"refusal", "audio", "tool_calls", "function_call"}


class Bad(Exception):
    """Not JSON; the text is the code."""


def codes_of(line: bytes) -> set[str]:
    if not line.strip():
        return {"blank_line"}
    doubts: set[str] = set()
    try:
        value = decoded(line.rstrip(), doubts)
    except Bad as bad:
        return {str(bad)}
    if not isinstance(value, dict):
        return doubts | {"data_type"}
    if "messages" not in value:
        if "prompt" in value or "completion" in value or "input" in value:
            return doubts | {"mixed_formats"}
        return doubts | {"missing_messages_list"}
    messages = value["messages"]
    if value.keys() - {"messages", "tools", "functions", "parallel_tool_calls"}:
        doubts.add("unrecognized_key")
    if not isinstance(messages, list) or not messages:
        return doubts | {"missing_messages_list"}
    for message in messages:
        doubts |= codes_of_message(message)
    return doubts | codes_of_roles([m for m in messages if isinstance(m, dict)])


def decoded(line: bytes, doubts: set[str]) -> Any:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Bad("invalid_utf8") from None

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if any(a == b and v != w for i, (a, v) in enumerate(found) for b, w in found[i + 1 :]):
            doubts.add("duplicate_key")
        return dict(found)

    def constant(_: str) -> None:
        raise Bad("non_finite_number")

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError:
        raise Bad("invalid_json") from None
    everything = json.dumps(value, ensure_ascii=False)
    if any("\ud800" <= character <= "\udfff" for character in everything):
        doubts.add("lone_surrogate")
    if "\\u0000" in everything.replace("\\\\", ""):  # a backslash of its own begins nothing
        doubts.add("nul_character")
    return value


def codes_of_message(message: Any) -> set[str]:
    if not isinstance(message, dict):
        return {"invalid_type"}
    found, role, content = set(), message.get("role"), message.get("content")
    if "role" not in message:
        found.add("message_missing_key")
    elif role not in ROLES:
        found.add("unrecognized_role")
    if "role" not in message or not isinstance(role, str):
        allowed = ASSISTANT_KEYS | {"tool_call_id"}
    else:
        allowed = {"assistant": ASSISTANT_KEYS, "tool": KEYS | {"tool_call_id"}}.get(role, KEYS)
    if message.keys() - allowed:
        found.add("message_unrecognized_key")
    if (role == "tool" and "tool_call_id" not in message) or (
        role == "function" and not isinstance(message.get("name"), str)
    ):
        found.add("message_missing_key")
    weight = message.get("weight")
    if weight is not None and (weight not in (0, 1) or isinstance(weight, bool)):
        found.add("invalid_weight")
    elif weight is not None and role != "assistant":
        found.add("misplaced_weight")
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        found.add("invalid_type")
    elif name is not None and not (
        0 < len(name) <= 64 and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    ):
        found.add("invalid_name")
    if role == "assistant" and message.get("refusal") and content in (None, ""):
        return found
    if "content" not in message:
        return found | {"message_missing_key"}
    if role == "function" and content is None:
        return found
    if isinstance(content, list) and content:
        good = all(isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in content)
        found |= {"tool_content_parts"} if role in ("tool", "function") else set()
        return found if good else found | {"invalid_part"}
    if not isinstance(content, str):
        return found | {"missing_content"}
    if not content:
        return found | {"empty_content"}
    return found


def codes_of_roles(messages: list[dict[str, Any]]) -> set[str]:
    roles = [message.get("role") for message in messages]
    answers = [message for message in messages if message.get("role") == "assistant"]
    found: set[str] = set()
    if not roles:
        return found
    if not answers:
        found.add("example_missing_assistant_message")
    elif roles[-1] != "assistant":
        found.add("last_message_not_assistant")
    if answers and all(answer.get("weight") == 0 for answer in answers):
        found.add("nothing_trained")
    if "system" not in roles and "developer" not in roles:
        found.add("missing_system_message")
    if "user" not in roles:
        found.add("missing_user_message")
    return found
