"""The first check of training data: UTF-8 JSON lines in a known shape, enough of them, and where it is not so."""

from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec

MIN_EXAMPLES = 10
MAX_LINE_BYTES = 16 << 20

_SHAPES = (
    ({"messages"}, "chat"),
    ({"prompt", "completion"}, "prompt/completion"),
    ({"input", "preferred_output", "non_preferred_output"}, "preference"),
)


class InvalidDataset(Exception):
    """The file cannot be trained on. The sentence names the line, from 1, where there is one."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Checked:
    """What a valid file holds: how many examples, and in which shape."""

    examples: int
    shape: str


def check(file: BinaryIO) -> Checked:
    """Read a file of JSON lines to its end, or to its first error; constant memory.

    Raises `InvalidDataset`: `invalid_training_file` for a bad line, `invalid_n_examples` for too few.
    """
    examples, shape, number = 0, "", 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise _invalid(number, f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        found = _shape(number, line)
        if shape and found != shape:
            raise _invalid(number, _mixed(shape, found))
        examples, shape = examples + 1, found
    if examples < MIN_EXAMPLES:
        raise InvalidDataset(
            "invalid_n_examples",
            f"Training file has {examples} example(s), but must have at least {MIN_EXAMPLES} examples",
        )
    return Checked(examples, shape)


def _mixed(shape: str, found: str) -> str:
    if found == "reinforcement":
        return "no message of the role assistant, so there is nothing to learn from this example"
    return f"this is a {found} example, but the lines before it are {shape} examples"


def _invalid(number: int, why: str) -> InvalidDataset:
    return InvalidDataset("invalid_training_file", f"Invalid file format. Line {number}: {why}")


def _shape(number: int, line: bytes) -> str:
    example = _decode(number, line)
    if not isinstance(example, dict):
        raise _invalid(number, f"expected a JSON object, but this is {_kind(example)}")
    for keys, shape in _SHAPES:
        if keys <= example.keys():
            why = _fault(shape, example)
            if why:
                raise _invalid(number, why)
            return "reinforcement" if shape == "chat" and not _has_answer(example) else shape
    found = ", ".join(sorted(str(key)[:40] for key in example)[:8]) or "none"
    raise _invalid(
        number, f"expected either `messages`, or `prompt` and `completion`, or a preference pair; its keys are: {found}"
    )


def _decode(number: int, line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(number, f"not JSON in UTF-8: {error}") from None
    except (RecursionError, ValueError):
        raise _invalid(number, "not JSON: it is nested too deeply") from None


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _fault(shape: str, example: dict[str, object]) -> str | None:
    """Why an example of this shape cannot be trained on; None if it can."""
    if shape == "chat":
        return _messages_fault(example["messages"])
    if shape == "prompt/completion":
        wrong = [key for key in ("prompt", "completion") if not isinstance(example[key], str)]
        return f"`{wrong[0]}` must be a string" if wrong else None
    pair = [key for key in ("preferred_output", "non_preferred_output") if not isinstance(example[key], list)]
    if pair:
        return f"`{pair[0]}` must be a list of one assistant message"
    source = example["input"]
    if not isinstance(source, dict) or not isinstance(source.get("messages"), list):
        return "`input` must be an object with a list of `messages`"
    return None


_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def _messages_fault(messages: object) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "`messages` must be a list of at least one message"
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            return f"`messages[{index}]` must be an object, but this is {_kind(message)}"
        if message.get("role") not in _ROLES:
            return f"`messages[{index}].role` must be one of {', '.join(_ROLES)}"
        if message["role"] != "assistant" and not isinstance(message.get("content"), str | list):
            return f"`messages[{index}].content` must be a string or a list of parts"
    return None


def _has_answer(example: dict[str, Any]) -> bool:
    return any(message["role"] == "assistant" for message in example["messages"])
