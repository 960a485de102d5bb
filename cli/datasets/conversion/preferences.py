"""Makes examples of OpenAI's preference format of other trainers' rows with a chosen and a rejected answer."""

import re
from typing import Any

from cli.datasets.conversion.fields import Fields
from cli.datasets.conversion.names import (
    CHOSEN,
    CONVERSATION,
    NON_PREFERRED,
    PREFERRED,
    REJECTED,
    is_conversation,
    is_message,
    plain,
)
from cli.datasets.conversion.pairs import Example, opening_messages, question_names, tools
from cli.datasets.conversion.rows import RowProblem, is_empty, kind, structured
from cli.datasets.conversion.tool_turns import tools_of
from cli.datasets.conversion.turns import Message, messages_of, with_system

_TRANSCRIPT = re.compile(r"\s*Human:.*\n\nAssistant:", re.DOTALL)
_SPEAKER = re.compile(r"(?:\A|\n\n)\s*(Human|Assistant):")


def is_preference(fields: Fields) -> bool:
    return bool(fields.present((*CHOSEN, *REJECTED, *PREFERRED, *NON_PREFERRED)))


def example_of_preference(fields: Fields) -> Example:
    """The preference example of a row. Raises `RowProblem` if a part is missing, or if its prompt is not clear."""
    is_openai = bool(fields.present((*PREFERRED, *NON_PREFERRED)))
    names = (PREFERRED, NON_PREFERRED) if is_openai else (CHOSEN, REJECTED)
    better, worse = (_output(fields, each) for each in names)
    if is_openai and isinstance(structured(fields.take("input")), dict):
        given = _openai_input(structured(fields.take("input")), fields)
    else:
        opening, better, worse = _apart(better, worse)
        given = {"messages": _prompt(fields, opening), **tools(fields)}
    for name, output in zip(names, (better, worse), strict=True):
        if len(output) != 1 or output[0]["role"] != "assistant":
            shown = fields.names[fields.present(name)[0]]
            said = "nothing" if not output else ", ".join(message["role"] for message in output[:8])
            raise RowProblem(f"`{shown}` must end in one answer of the assistant after the prompt, but has: {said}")
    shape = (
        "preference (input, preferred_output, non_preferred_output)" if is_openai else "preference (chosen, rejected)"
    )
    return Example(shape, {"input": given, "preferred_output": better, "non_preferred_output": worse})


def _output(fields: Fields, names: tuple[str, ...]) -> list[Message]:
    name = fields.take_only(names, "this answer")
    if name is None:
        empty = [fields.names[each] for each in names if each in fields.names]
        raise RowProblem(f"`{empty[0]}` is empty" if empty else f"there is no `{names[0]}`")
    value = fields.take(name)
    found = structured(value)
    if is_message(found) or is_conversation(found):
        return messages_of(found, fields.names[name], fields)
    if not isinstance(value, str):
        raise RowProblem(f"`{fields.names[name]}` is {kind(value)}, but neither a text nor messages")
    return _transcript(value) or [{"role": "assistant", "content": value}]


def _transcript(text: str) -> list[Message]:
    """The messages of a text such as `Human: … Assistant: …`; none of any other text."""
    if not _TRANSCRIPT.match(text):
        return []
    pieces = _SPEAKER.split(text)[1:]
    said = zip(pieces[::2], pieces[1::2], strict=True)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[who], "content": what.strip()} for who, what in said if what.strip()]


def _apart(better: list[Message], worse: list[Message]) -> tuple[list[Message], list[Message], list[Message]]:
    """What both outputs begin with, and the rest of each: they may be whole conversations."""
    most = min(len(better), len(worse)) - 1
    shared = next((n for n in range(most) if better[n] != worse[n]), most)
    return better[:shared], better[shared:], worse[shared:]


def _prompt(fields: Fields, opening: list[Message]) -> list[Message]:
    """The messages before the answers: the prompt's, or those with which both outputs begin."""
    prompt = _given_prompt(fields, opening)
    if not prompt or not opening:
        if not (prompt or opening):
            raise RowProblem(f"there is no prompt; the fields are: {fields.shown()}. If one is: --rename FIELD=prompt")
        return with_system(prompt or opening, fields)
    told = [message for message in prompt if message["role"] != "system"]
    if _said(opening)[-len(told) :] != _said(told):
        raise RowProblem(
            "the prompt and the beginning of both answers differ. Leave one out, for example --drop prompt"
        )
    has_system = opening[0]["role"] in ("system", "developer")
    return opening if has_system else [*(m for m in prompt if m["role"] == "system"), *opening]


def _given_prompt(fields: Fields, opening: list[Message]) -> list[Message]:
    name = fields.take_only(fields.present(CONVERSATION), "the conversation")
    if name is not None:
        messages = messages_of(fields.take(name), fields.names[name], fields)
        if messages[-1:] and messages[-1]["role"] == "assistant" and opening:
            # UltraFeedback repeats the chosen conversation as `messages`, beside a prompt.
            messages = messages[:-1]
        return with_system(messages, fields)
    names = question_names(fields)
    if len(names) == 1 and isinstance(said := fields.take(names[0]), str) and (told := _transcript(said)):
        return with_system(told, fields)
    return opening_messages(fields) if names else []


def _said(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message["role"], str(message.get("content")).strip()) for message in messages]


def _openai_input(value: dict[str, Any], fields: Fields) -> dict[str, Any]:
    keys = {plain(key): key for key in value if not is_empty(value[key])}
    conversation = [key for key in CONVERSATION if key in keys]
    if len(conversation) != 1:
        raise RowProblem("`input` has no `messages`")
    name = keys.pop(conversation[0])
    given: dict[str, Any] = {"messages": with_system(messages_of(value[name], f"input.{name}", fields), fields)}
    for key, shown in keys.items():
        if key in ("tools", "parallel_tool_calls"):
            given[key] = tools_of(value[shown], key) if key == "tools" else value[shown]
        else:
            fields.lose(f"input.{shown}")
    return given
