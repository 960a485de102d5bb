"""A checker like OpenAI's notebook, line by line, beside which the dataset check is measured."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROLES = ("system", "user", "assistant", "function")
KEYS = ("role", "content", "name", "function_call", "weight")


def check_as_cookbook(path: Path, encode: Callable[[str], list[int]] | None = None) -> dict[str, int]:
    """The checks of OpenAI's notebook, line by line: errors by kind, missing messages, numbers for its tables."""

    def count(value: Any) -> int:
        """The notebook counts texts only, and would raise at calls of tools."""
        if encode is None or value is None:
            return 0
        return len(encode(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))

    n_messages, tokens, answer_tokens = list[int](), list[int](), list[int]()
    found = defaultdict[str, int](int)
    with path.open(encoding="utf-8") as file:
        for line in file:
            messages = json.loads(line).get("messages")
            if not messages:
                found["missing_messages_list"] += 1
                continue
            for error in _errors(messages):
                found[error] += 1
            found["missing_system"] += not any(message["role"] == "system" for message in messages)
            found["missing_user"] += not any(message["role"] == "user" for message in messages)
            n_messages.append(len(messages))
            if encode:
                tokens.append(3 + sum(3 + sum(map(count, m.values())) for m in messages))
                answer_tokens.append(sum(count(m["content"]) for m in messages if m["role"] == "assistant"))
    found["over_the_limit"] = sum(each > 65_536 for each in tokens)
    return found


def _errors(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        if "role" not in message or "content" not in message:
            yield "message_missing_key"
        if any(key not in KEYS for key in message):
            yield "message_unrecognized_key"
        if message.get("role", None) not in ROLES:
            yield "unrecognized_role"
        content = message.get("content", None)
        if (not content and not message.get("function_call", None)) or not isinstance(content, str):
            yield "missing_content"
    if not any(message.get("role", None) == "assistant" for message in messages):
        yield "example_missing_assistant_message"
