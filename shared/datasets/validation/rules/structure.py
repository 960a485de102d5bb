"""The rules of the four formats: every line that the strict types do not accept is examined by these."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.rules.counted_message import CountedMessage, counted
from shared.datasets.validation.rules.formats import (
    CHAT,
    COMPLETION,
    PREFERENCE,
    REINFORCEMENT,
    examine_roles,
    many_messages,
)
from shared.datasets.validation.rules.limits import Limits, rules
from shared.datasets.validation.rules.messages import examine_messages, not_plain
from shared.datasets.validation.rules.row_shapes import shape_of_row
from shared.datasets.validation.rules.tool_answers import examine_answers
from shared.datasets.validation.rules.tools import declared_names, examine_calls, examine_tools, text_of_tools
from shared.datasets.validation.rules.values import hint_to_rename, is_json_text, kind, listed

CHAT_KEYS = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})
INPUT_KEYS = frozenset({"messages", "tools", "parallel_tool_calls"})
OUTPUTS = ("preferred_output", "non_preferred_output")
PREFERENCE_KEYS = frozenset({"input", *OUTPUTS})
COMPLETION_KEYS = frozenset({"prompt", "completion"})
_OF_FORMATS = PREFERENCE_KEYS | COMPLETION_KEYS | {"messages"}
MAX_COMPARED = 8  # keys of an example of no known format
# An output under its old name is reported once, as the missing key of the new name.
RENAMED = frozenset(key.replace("output", "completion") for key in OUTPUTS)


class Examined(NamedTuple):
    """What is wrong with an example, and its messages as they are counted; none if there is an error."""

    findings: list[Finding]
    messages: list[CountedMessage]


def format_of(value: Any) -> str | None:
    """The format that the keys of an example show; None if they show none. Reinforcement looks like chat."""
    if not isinstance(value, dict):
        return None
    if "messages" in value:
        return CHAT
    if "prompt" in value or "completion" in value:
        return COMPLETION
    if "input" in value or any(key.replace("completion", "output") in OUTPUTS for key in value):
        return PREFERENCE
    return None


def examine(value: Any, expected: str | None, limits: Limits) -> Examined:
    """Everything that is wrong with the example of a line, in a file whose format is `expected`, if it is known."""
    if not isinstance(value, dict):
        if shape := shape_of_row(value):
            return Examined([Finding("data_type", "$", f"the line is {shape[0]}", hint=shape[1])], [])
        return Examined([Finding("data_type", "$", f"the line must be a JSON object, but this is {kind(value)}")], [])
    found = format_of(value)
    if found is None or (found != CHAT and shape_of_row(value)):
        return Examined([_unknown(value, expected)], [])
    if found == CHAT and expected == REINFORCEMENT:
        found = REINFORCEMENT
    if found != (expected or found):
        message = f"this is a {found} example, but the other lines are {expected} examples"
        return Examined([Finding("mixed_formats", "$", message)], [])
    findings = [*islice(_RULES[found](value, limits), rules().ours.line_findings + 1)]
    return Examined(findings, _counted_messages(value, found) if all(map(_is_warning, findings)) else [])


def _is_warning(finding: Finding) -> bool:
    return severity_of(finding.code) is Severity.WARNING


def _unknown(value: dict[str, Any], expected: str | None) -> Finding:
    keys = ", ".join(f"`{key[:40]}`" for key in list(value)[:8]) or "none"
    if shape := shape_of_row(value):
        return Finding("unknown_format", "$", f"the line is {shape[0]}", hint=shape[1])
    hint = next(filter(None, (hint_to_rename(key, _OF_FORMATS) for key in islice(value, MAX_COMPARED))), None)
    if expected in (CHAT, REINFORCEMENT):
        return Finding("missing_messages_list", "$", f"no `messages`; the keys are: {keys}", hint=hint)
    message = f"neither `messages`, nor `prompt` and `completion`, nor `input`; the keys are: {keys}"
    return Finding("unknown_format", "$", message, hint=hint)


def _chat(value: dict[str, Any], limits: Limits) -> Iterator[Finding]:
    yield from _unrecognized(value, CHAT_KEYS, "$")
    yield from _conversation(value, "$", limits)
    messages = listed(value["messages"])
    roles = [message.get("role") for message in messages if isinstance(message, dict)]
    yield from (Finding(code, "$.messages", message) for code, message in examine_roles(CHAT, roles))
    answers = [message for message in messages if isinstance(message, dict) and message.get("role") == "assistant"]
    if answers and all(answer.get("weight") == 0 for answer in answers):
        yield Finding("nothing_trained", "$.messages", "every message of the assistant has the weight 0")


def _reinforcement(value: dict[str, Any], limits: Limits) -> Iterator[Finding]:
    yield from _conversation(value, "$", limits)
    roles = [message.get("role") for message in listed(value["messages"]) if isinstance(message, dict)]
    yield from (Finding(code, "$.messages", message) for code, message in examine_roles(REINFORCEMENT, roles))


def _completion(value: dict[str, Any], limits: Limits) -> Iterator[Finding]:
    yield from _unrecognized(value, COMPLETION_KEYS, "$")
    for key in ("prompt", "completion"):
        if key not in value:
            yield Finding("missing_key", "$", f"no `{key}`", hint=f"Add `{key}`")
        elif not isinstance(value[key], str):
            yield Finding("invalid_type", f"$.{key}", f"`{key}` must be a string, but this is {kind(value[key])}")
        elif not value[key]:
            code = "missing_content" if key == "completion" else "empty_content"
            yield Finding(code, f"$.{key}", f"`{key}` is empty")


def _preference(value: dict[str, Any], limits: Limits) -> Iterator[Finding]:
    yield from _unrecognized(value, PREFERENCE_KEYS, "$")
    given = value.get("input")
    if "input" not in value:
        yield Finding("missing_key", "$", "no `input`", hint="Add `input` with its `messages`")
    elif not isinstance(given, dict):
        yield Finding("invalid_type", "$.input", f"`input` must be an object, but this is {kind(given)}")
    else:
        yield from _unrecognized(given, INPUT_KEYS, "$.input")
        yield from _conversation(given, "$.input", limits, images=False)
    for key in OUTPUTS:
        yield from _output(value, key, limits, given if isinstance(given, dict) else {})
    if value.get(OUTPUTS[0]) and value.get(OUTPUTS[0]) == value.get(OUTPUTS[1]):
        yield Finding("identical_outputs", "$", "the two outputs are the same")


def _output(value: dict[str, Any], key: str, limits: Limits, given: dict[str, Any]) -> Iterator[Finding]:
    old_key, output = key.replace("output", "completion"), value.get(key)
    if key not in value:
        hint = (
            f"Rename `{old_key}` to `{key}`" if old_key in value else f"Add `{key}`, a list of one assistant's message"
        )
        yield Finding("missing_key", "$", f"no `{key}`", hint=hint)
        return
    if not isinstance(output, list) or not 1 <= len(output) <= limits.max_output_messages:
        size = f"has {len(output)}" if isinstance(output, list) else f"is {kind(output)}"
        yield Finding(
            "invalid_output", f"$.{key}", f"`{key}` must be a list of one assistant's message, but this {size}"
        )
        return
    examined = not_plain(output)
    yield from examine_messages(examined, f"$.{key}", limits, images=False)
    yield from examine_calls(examined, f"$.{key}", declared_names(given))
    yield from examine_answers(output, f"$.{key}", before=listed(given.get("messages")))
    roles = [message.get("role") for message in output if isinstance(message, dict)]
    if set(map(str, roles)) - set(limits.output_roles) or "assistant" not in roles:
        yield Finding("invalid_output", f"$.{key}", f"all messages of `{key}` must be from the assistant")


def _conversation(value: dict[str, Any], path: str, limits: Limits, images: bool = True) -> Iterator[Finding]:
    """The findings in `messages` and in the tools that they may call."""
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        has = "no `messages`" if "messages" not in value else f"`messages` is {kind(messages)}"
        message = "`messages` is empty" if messages == [] else has
        hint = None
        if is_json_text(messages):
            message, hint = f"{message} that holds JSON", "Decode the text: write `messages` as a JSON list"
        yield Finding("missing_messages_list", f"{path}.messages", message, hint=hint)
        messages = []
    if len(messages) > rules().ours.many_messages:
        yield Finding("many_messages", f"{path}.messages", many_messages(len(messages)))
    yield from examine_tools(value, path, limits)
    examined = not_plain(messages)
    yield from examine_messages(examined, f"{path}.messages", limits, images=images)
    yield from examine_calls(examined, f"{path}.messages", declared_names(value))
    if examined:
        yield from examine_answers(messages, f"{path}.messages")


def unrecognized_keys(value: dict[str, Any], known: frozenset[str] = CHAT_KEYS) -> set[str]:
    """The keys of an example that are not known."""
    return value.keys() - known - RENAMED


def _unrecognized(value: dict[str, Any], known: frozenset[str], path: str) -> Iterator[Finding]:
    for key in unrecognized_keys(value, known):
        hint = hint_to_rename(key, known, value)
        yield Finding("unrecognized_key", path, f"the key `{key[:64]}` is not known", hint=hint)


def _counted_messages(value: dict[str, Any], format: str) -> list[CountedMessage]:
    if format == COMPLETION:
        return [
            CountedMessage("prompt", value["prompt"]),
            CountedMessage("completion", value["completion"], trained=True),
        ]
    if format == PREFERENCE:
        messages = value["input"]["messages"] + value[OUTPUTS[0]] + value[OUTPUTS[1]]
        return _with_tools([counted(message) for message in messages], value["input"])
    return _with_tools([counted(message) for message in value["messages"]], value)


def _with_tools(messages: list[CountedMessage], value: dict[str, Any]) -> list[CountedMessage]:
    text = text_of_tools(value)
    return [replace(messages[0], calls=messages[0].calls + text), *messages[1:]] if text else messages


_RULES = {CHAT: _chat, REINFORCEMENT: _reinforcement, COMPLETION: _completion, PREFERENCE: _preference}
