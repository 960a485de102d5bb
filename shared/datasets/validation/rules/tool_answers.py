"""The order of tool calls and the messages that answer them, which the chat API checks first."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.rules.values import listed


def examine_answers(messages: Sequence[Any], path: str, before: Sequence[Any] = ()) -> Iterator[Finding]:
    """The findings in the order of calls and answers.

    Every id in an assistant's `tool_calls` must be answered by one tool message before any other message follows. A
    conversation may end with calls: then the model learns to make them. `before` are the messages that precede the
    list; what is wrong in them is not reported again.
    """
    if not any(_takes_part(message) for message in messages) and not _open_calls(before):
        return
    open_calls = dict.fromkeys(_open_calls(before), f"{path}[0]")
    answered: set[str] = set()
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "tool":
            yield from _examine_answer(message.get("tool_call_id"), f"{path}[{index}]", open_calls, answered)
            continue
        yield from _unanswered(open_calls)
        answered = set()
        calls = [call for call in listed(message.get("tool_calls")) if message.get("role") == "assistant"]
        open_calls = {}
        for number, call in enumerate(calls):
            id_ = call.get("id") if isinstance(call, dict) else None
            if not isinstance(id_, str):
                continue
            call_path = f"{path}[{index}].tool_calls[{number}].id"
            if id_ in open_calls:
                yield Finding(
                    "duplicate_tool_call_id", call_path, f"two calls of this message have the id {id_[:40]!r}"
                )
            open_calls.setdefault(id_, call_path)
    if answered:  # Some of the last calls have answers, so the others lack theirs.
        yield from _unanswered(open_calls)


def _takes_part(message: Any) -> bool:
    return isinstance(message, dict) and (message.get("role") == "tool" or bool(message.get("tool_calls")))


def _open_calls(messages: Sequence[Any]) -> list[str]:
    """The ids of the calls at the end of `messages` that no message there answers."""
    answered: set[Any] = set()
    for message in reversed(messages):
        if not isinstance(message, dict):
            return []
        if message.get("role") != "tool":
            calls = listed(message.get("tool_calls")) if message.get("role") == "assistant" else []
            ids = [call.get("id") for call in calls if isinstance(call, dict)]
            return [id_ for id_ in ids if isinstance(id_, str) and id_ not in answered]
        if isinstance(message.get("tool_call_id"), str):
            answered.add(message["tool_call_id"])
    return []


def _examine_answer(id_: Any, path: str, open_calls: dict[str, str], answered: set[str]) -> Iterator[Finding]:
    if not isinstance(id_, str):
        return
    if id_ in open_calls:
        del open_calls[id_]
        answered.add(id_)
    elif id_ in answered:
        message = f"the call {id_[:40]!r} has an answer already"
        yield Finding("unknown_tool_call_id", f"{path}.tool_call_id", message)
    else:
        message = f"no call in the assistant's message directly before has the id {id_[:40]!r}"
        yield Finding("unknown_tool_call_id", f"{path}.tool_call_id", message)


def _unanswered(open_calls: dict[str, str]) -> Iterator[Finding]:
    for id_, path in open_calls.items():
        message = f"no tool message answers the call {id_[:40]!r} before the next message"
        yield Finding("unanswered_tool_call", path, message)
