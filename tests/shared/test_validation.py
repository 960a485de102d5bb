"""The first check of training data: what passes, what does not, and the line that is named."""

import io
import json
from typing import Any

import pytest

from shared.datasets.validation import MAX_LINE_BYTES, Checked, InvalidDataset, check

CHAT = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
PAIR = {
    "input": {"messages": [{"role": "user", "content": "q"}]},
    "preferred_output": [{"role": "assistant", "content": "a"}],
    "non_preferred_output": [{"role": "assistant", "content": "b"}],
}
LEGACY = {"prompt": "p", "completion": "c"}
REINFORCEMENT = {"messages": [{"role": "user", "content": "q"}], "reference": "a"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOLS = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "assistant", "content": "a", "weight": 1},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
}


def line(example: object) -> bytes:
    return json.dumps(example, ensure_ascii=False).encode() + b"\n"


def checked(content: bytes) -> Checked:
    return check(io.BytesIO(content))


def refused(content: bytes) -> InvalidDataset:
    with pytest.raises(InvalidDataset) as refusal:
        check(io.BytesIO(content))
    return refusal.value


@pytest.mark.parametrize(
    ("example", "shape"),
    [
        (CHAT, "chat"),
        (TOOLS, "chat"),
        (LEGACY, "prompt/completion"),
        (PAIR, "preference"),
        (REINFORCEMENT, "reinforcement"),
        ({"messages": [{"role": "developer", "content": "d"}, *CHAT["messages"]]}, "chat"),
        ({"messages": [{"role": "assistant", "content": None, "refusal": "no"}]}, "chat"),
    ],
)
def test_examples_of_each_shape_pass(example: object, shape: str) -> None:
    assert checked(line(example) * 10) == Checked(10, shape)


WAYS_TO_WRITE = {
    "CRLF": line(CHAT).replace(b"\n", b"\r\n") * 10,
    "a BOM": b"\xef\xbb\xbf" + line(CHAT) * 10,
    "no line end at the end": (line(CHAT) * 10).rstrip(),
    "empty lines": (line(CHAT) + b"\n  \r\n") * 10,
    "spaces around": (b"  " + line(CHAT)) * 10,
    "other scripts": line({"messages": [{"role": "assistant", "content": "ü 漢字 😀"}]}) * 10,
    "escapes": line(CHAT).replace(b'"q"', b'"\\u00fc \\ud83d\\ude00"') * 10,
}


@pytest.mark.parametrize("content", WAYS_TO_WRITE.values(), ids=WAYS_TO_WRITE.keys())
def test_files_as_people_write_them_pass(content: bytes) -> None:
    assert checked(content).examples == 10


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fewer_than_ten_examples_are_counted_in_openais_words(count: int) -> None:
    refusal = refused(line(CHAT) * count)
    assert refusal.code == "invalid_n_examples"
    assert refusal.message == f"Training file has {count} example(s), but must have at least 10 examples"


def message(**values: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "q", **values}, {"role": "assistant", "content": "a"}]}


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "cut short": (line(CHAT)[:-10] + b"\n", "not JSON"),
    "no JSON": (b"Answer, Question\n", "not JSON"),
    "two objects": (line(CHAT).strip() + line(CHAT), "not JSON"),
    "single quotes": (b"{'messages': []}\n", "not JSON"),
    "NaN": (b'{"messages": NaN}\n', "not JSON"),
    "invalid UTF-8": (b'{"messages": "\xff"}\n', "UTF-8"),
    "UTF-16": (line(CHAT).decode().encode("utf-16"), "UTF-8"),
    "a BOM in the middle": (b"\xef\xbb\xbf" + line(CHAT), "not JSON"),
    "100,000 lists": (b"[" * 100_000 + b"]" * 100_000 + b"\n", "nested too deeply"),
    "a list": (line([CHAT]), "this is a list"),
    "a text": (line("a"), "this is a string"),
    "a number": (line(1), "this is a number"),
    "a boolean": (line(True), "this is a boolean"),
    "null": (line(None), "this is null"),
    "no known keys": (line({"question": "q", "answer": "a"}), "its keys are: answer, question"),
    "no keys": (line({}), "its keys are: none"),
    "ShareGPT": (line({"conversations": []}), "its keys are: conversations"),
    "half a legacy example": (line({"prompt": "p"}), "its keys are: prompt"),
    "half a pair": (line({"input": {}, "preferred_output": []}), "its keys are: input, preferred_output"),
    "no messages": (line({"messages": []}), "at least one message"),
    "messages as a text": (line({"messages": "hi"}), "at least one message"),
    "a message that is a text": (line({"messages": ["hi"]}), "`messages[0]` must be an object"),
    "an unknown role": (line(message(role="bot")), "`messages[0].role`"),
    "a role that is a list": (line(message(role=["user"])), "`messages[0].role`"),
    "no role": (line({"messages": [{"content": "q"}]}), "`messages[0].role`"),
    "no content": (line(message(content=None)), "`messages[0].content`"),
    "content that is a number": (line(message(content=5)), "`messages[0].content`"),
    "no answer": (line(REINFORCEMENT), "no message of the role assistant"),
    "another shape": (line(LEGACY), "this is a prompt/completion example"),
    "a prompt that is a list": (line({"prompt": [], "completion": "c"}), "`prompt` must be a string"),
    "a completion that is null": (line({"prompt": "p", "completion": None}), "`completion` must be a string"),
    "a pair of texts": (line({**PAIR, "preferred_output": "a"}), "`preferred_output` must be a list"),
    "an input that is a text": (line({**PAIR, "input": "q"}), "`input` must be an object"),
    "a line of 17 MiB": (line("a" * (MAX_LINE_BYTES + (1 << 20))), "longer than 16 MiB"),
}


@pytest.mark.parametrize(("bad", "why"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_named_and_told_why(bad: bytes, why: str) -> None:
    refusal = refused(line(CHAT) * 4 + b"\n" + bad + line(CHAT) * 10)
    assert refusal.code == "invalid_training_file"
    assert "Line 6: " in refusal.message
    assert why in refusal.message


def test_a_long_name_of_a_key_is_not_repeated_whole() -> None:
    assert len(refused(line({"k" * 10_000: 1})).message) < 300


def test_the_content_of_a_bad_line_is_not_repeated() -> None:
    assert "sk-secret" not in refused(b'{"messages": "sk-secret"}\n' + b"sk-secret").message


class Endless(io.RawIOBase):
    """A file of one line that never ends, and counts what is taken of it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        buffer[:] = b"a" * len(buffer)
        return len(buffer)


def test_a_line_without_an_end_is_not_read_to_its_end() -> None:
    endless = Endless()
    with pytest.raises(InvalidDataset):
        check(io.BufferedReader(endless))
    assert endless.taken < 2 * MAX_LINE_BYTES
