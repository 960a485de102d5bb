"""A message reduced to what is counted: its text, whether it is trained on, and what else costs tokens."""

from typing import Any

import msgspec

from shared.datasets.validation.rules.values import is_image, listed


class CountedMessage(msgspec.Struct, frozen=True, gc=False):
    """`calls` is the text of the tool calls; of an example's first message, of the declared tools as well."""

    role: str
    content: str
    trained: bool = False
    name: str | None = None
    calls: str = ""
    images_low: int = 0
    images_high: int = 0


def counted(message: dict[str, Any]) -> CountedMessage:
    """A message in which the rules found no error, reduced to what is counted."""
    content = message.get("content")
    if isinstance(content, str) and (len(message) == 2 or message["role"] != "assistant"):
        return CountedMessage(message["role"], content, message["role"] == "assistant", message.get("name"))
    parts = [part for part in listed(content) if not is_image(part)]
    text = (
        content if isinstance(content, str) else "".join(part.get("text") or part.get("refusal", "") for part in parts)
    )
    details = [part["image_url"].get("detail", "auto") for part in listed(content) if is_image(part)]
    is_answer = message["role"] == "assistant"
    low = details.count("low")
    return CountedMessage(
        message["role"],
        text or (message.get("refusal") or "" if is_answer else ""),
        trained=is_answer and message.get("weight") != 0,
        name=message.get("name"),
        calls=_text_of_calls(message) if is_answer else "",
        images_low=low,
        images_high=len(details) - low,
    )


def _text_of_calls(message: dict[str, Any]) -> str:
    """Names and arguments of the calls: no provider publishes in which form a model writes them."""
    calls = listed(message.get("tool_calls"))
    functions = [call["function"] for call in calls if call.get("type") != "custom"]
    if message.get("function_call"):
        functions.append(message["function_call"])
    return "\n".join(f"{function['name']}\n{function['arguments']}" for function in functions)
