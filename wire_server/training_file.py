"""Reads a training file once, at its upload: its format, the number of its examples, and its first error."""

import codecs
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

CHAT, COMPLETION, PREFERENCE, REINFORCEMENT = "chat", "completion", "preference", "reinforcement"
METHODS = {CHAT: "supervised", COMPLETION: "supervised", PREFERENCE: "dpo", REINFORCEMENT: "reinforcement"}
"""The method that trains on files of each format."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MAX_LINE_BYTES = 16 * 1024 * 1024
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Example(NamedTuple):
    """The last question of an example, and the reply that the training file has for it."""

    question: str
    reply: str


class Contents(Struct, kw_only=True):
    """What a training file holds; `problem` is its first error, since OpenAI reports only one."""

    format: str
    n_examples: int
    problem: str | None


class BadExampleError(ValueError):
    """An example has the wrong shape; the message says how, without the line's number."""


def first_line_problem(path: Path) -> str | None:
    """An error message unless the first line is a JSON object: the only check that OpenAI makes during the upload.

    A file that begins with a byte order mark fails this check.
    """
    with path.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES)
    if not line.strip():
        return "The file is empty. Expected JSONL, where every line is a JSON object."
    if isinstance(_decoded(line), dict):
        return None
    start = line[:20].decode("utf-8", "backslashreplace").strip()
    advice = " Save the file as UTF-8 without a byte order mark." if line.startswith(BYTE_ORDER_MARKS) else ""
    return f"Expected JSONL, where every line is a JSON object. Line 1 is not one (it starts with: {start!r}).{advice}"


def read(path: Path, see: Callable[[dict[str, Any], Example], None] = lambda _, __: None) -> Contents:
    """Checks and counts the examples line by line up to the first error, and shows each good one to `see`."""
    form, problem, count = "", None, 0
    for count, line in enumerate(_lines(path), start=1):
        try:
            record = _object(line)
            form = form or _format_of(record)
            see(record, READERS[form](record))
        except BadExampleError as error:
            problem = f"Invalid file format. Example {count}, {error}" if form else str(error)
            break
    return Contents(format=form, n_examples=count, problem=problem)


def last_user_text(messages: list[Any]) -> str:
    """The content of the last user message, or an empty text."""
    asked = [m for m in messages if isinstance(m, Mapping) and m.get("role") == "user"]
    return text_of(asked[-1].get("content")) if asked else ""


def text_of(content: Any) -> str:
    """A message's content as text: a string unchanged, text parts joined, and an empty text for anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            if line.strip():
                yield line


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _object(line: bytes) -> dict[str, Any]:
    record = _decoded(line)
    if not isinstance(record, dict):
        raise BadExampleError("the line is not a JSON object")
    return record


def _format_of(record: dict[str, Any]) -> str:
    if "messages" in record:
        messages = record["messages"] if isinstance(record["messages"], list) else []
        roles = [message.get("role") for message in messages if isinstance(message, dict)]
        return CHAT if "assistant" in roles or roles[-1:] != ["user"] else REINFORCEMENT
    if "prompt" in record and "completion" in record:
        return COMPLETION
    if "preferred_output" in record or isinstance(record.get("input"), dict):
        return PREFERENCE
    raise BadExampleError("Unexpected file format, expected either prompt/completion pairs or chat messages.")


def _messages(record: dict[str, Any], key: str = "messages") -> list[dict[str, Any]]:
    messages = record.get(key)
    if not isinstance(messages, list) or not messages:
        raise BadExampleError(f"'{key}' must be a list of at least one message")
    for number, message in enumerate(messages, start=1):
        _check_message(message, number)
    return messages


def _check_message(message: Any, number: int) -> None:
    if not isinstance(message, dict) or "role" not in message:
        raise BadExampleError(f"message {number} Discriminator 'role' is missing in value")
    if message["role"] not in ROLES:
        raise BadExampleError(f"message {number} has the unknown role {message['role']!r}")
    if message.get("content") is None and not any(map(message.get, ("tool_calls", "function_call", "refusal"))):
        raise BadExampleError(f"message {number} has no content")
    if not isinstance(message.get("content", ""), str | list | None):
        raise BadExampleError(f"message {number} has a content that is neither text nor parts")


def _read_chat(record: dict[str, Any]) -> Example:
    messages = _messages(record)
    replies = [text_of(m.get("content")) for m in messages if m["role"] == "assistant"]
    if not replies:
        raise BadExampleError("at least one message must be from the assistant")
    return Example(last_user_text(messages), replies[-1])


def _read_completion(record: dict[str, Any]) -> Example:
    prompt, completion = record.get("prompt"), record.get("completion")
    if not isinstance(prompt, str) or not isinstance(completion, str):
        raise BadExampleError("'prompt' and 'completion' must both be strings")
    return Example(prompt, completion.strip())


def _read_preference(record: dict[str, Any]) -> Example:
    asked = record.get("input")
    if not isinstance(asked, dict):
        raise BadExampleError("'input' must be an object with 'messages'")
    preferred = _messages(record, "preferred_output")
    _messages(record, "non_preferred_output")
    return Example(last_user_text(_messages(asked)), text_of(preferred[-1].get("content")))


def _read_reinforcement(record: dict[str, Any]) -> Example:
    messages = _messages(record)
    if messages[-1]["role"] != "user":
        raise BadExampleError("the last message must be from the user")
    return Example(last_user_text(messages), "")


READERS: dict[str, Callable[[dict[str, Any]], Example]] = {
    CHAT: _read_chat,
    COMPLETION: _read_completion,
    PREFERENCE: _read_preference,
    REINFORCEMENT: _read_reinforcement,
}
