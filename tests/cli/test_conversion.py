"""`tunery datasets convert`: each shape of row and what becomes of it, and what is lost, refused or counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.datasets.commands import app

Message = dict[str, Any]
TURNS = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
PAIR = '{"question": "q", "answer": "a"}'


def convert(tmp_path: Path, content: bytes | str | object, *options: str) -> tuple[Result, list[Any] | None]:
    """The result of the command, and the examples in the target; None if there is no target."""
    source, target = tmp_path / "source", tmp_path / "target.jsonl"
    text = content if isinstance(content, bytes | str) else json.dumps(content)
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = CliRunner().invoke(app, ["convert", str(source), str(target), *options])
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "target.jsonl"}
    examples = [json.loads(line) for line in target.read_text().splitlines()] if target.exists() else None
    return result, examples


def said(*texts: str) -> list[Message]:
    """Messages of the user and the assistant in turn; those that begin with `system:` are the system's."""
    messages: list[Message] = []
    for text in texts:
        role = "user" if len([m for m in messages if m["role"] != "system"]) % 2 == 0 else "assistant"
        message = (
            {"role": "system", "content": text[7:]} if text.startswith("system:") else {"role": role, "content": text}
        )
        messages.append(message)
    return messages


CHATS = [
    ({"instruction": "i", "input": "x", "output": "o"}, said("i\n\nx", "o")),
    ({"instruction": "i", "input": "", "output": "o"}, said("i", "o")),
    ({"instruction": "", "input": "x", "output": "o"}, said("x", "o")),
    (
        {"instruction": "i", "output": "o", "system": "S", "history": [["q", "a"], ["q2", "a2"]]},
        said("system:S", "q", "a", "q2", "a2", "i", "o"),
    ),
    ({"Prompt": "Hi ->", "COMPLETION": " hello\n"}, said("Hi ->", "hello")),
    ({"question": " q ", "answer": " a "}, said(" q ", " a ")),
    ({"system_prompt": "S", "question": "q", "response": "a"}, said("system:S", "q", "a")),
    ({"question": "Who?", "context": "Ada did.", "answer": "Ada"}, said("Who?\n\nAda did.", "Ada")),
    ({"User Message": "q", "assistant-message": "a"}, said("q", "a")),
    ({"prompt": said("q"), "completion": [{"role": "assistant", "content": "a"}]}, said("q", "a")),
    ({"input": said("system:S", "q"), "ideal": "a"}, said("system:S", "q", "a")),
    ({"conversations": TURNS}, said("q", "a")),
    ({"conversations": TURNS, "system": "S"}, said("system:S", "q", "a")),
    ({"conversation": [{"human": "q", "assistant": "a"}]}, said("q", "a")),
    ({"messages": said("q", "a"), "system": "S"}, said("system:S", "q", "a")),
    ({"messages": json.dumps(said("q", "a"))}, said("q", "a")),
    ({"messages": str(said("q", "a"))}, said("q", "a")),
    ({"messages": said("q", "a"), "prompt": "q"}, said("q", "a")),
    ({"messages": [{"Role": "User", "Content": "q"}, {"role": "Assistant", "content": "a"}]}, said("q", "a")),
    (
        {
            "systemInstruction": {"parts": [{"text": "S"}]},
            "contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"text": "a"}]}],
        },
        said("system:S", "q", "a"),
    ),
]


@pytest.mark.parametrize(("row", "messages"), CHATS)
def test_a_row_of_each_shape_becomes_a_chat_and_nothing_of_it_is_lost(
    tmp_path: Path, row: dict[str, Any], messages: list[Message]
) -> None:
    result, examples = convert(tmp_path, row, "--strict")
    assert (result.exit_code, examples) == (0, [{"messages": messages}]), result.output


Q, SQ = said("q"), said("system:S", "q")
GOOD, BAD = [{"role": "assistant", "content": "g"}], [{"role": "assistant", "content": "b"}]
PREFERENCES = [
    ({"prompt": "q", "chosen": "g", "rejected": "b"}, Q),
    ({"system": "S", "question": "q", "chosen": "g", "rejected": "b"}, SQ),
    ({"instruction": "i", "input": "x", "chosen": "g", "rejected": "b"}, said("i\n\nx")),
    ({"prompt": Q, "chosen": GOOD, "rejected": BAD}, Q),
    ({"prompt": "q", "chosen": Q + GOOD, "rejected": Q + BAD, "messages": Q + GOOD}, Q),
    ({"chosen": SQ + GOOD, "rejected": SQ + BAD}, SQ),
    (
        {
            "conversations": TURNS[:1],
            "chosen": {"from": "gpt", "value": "g"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        Q,
    ),
    ({"messages": SQ, "chosen": GOOD[0], "rejected": BAD[0]}, SQ),
    ({"chosen": "\n\nHuman: q\n\nAssistant: g", "rejected": "\n\nHuman: q\n\nAssistant: b"}, Q),
    ({"input": {"messages": Q}, "preferred_output": GOOD, "non_preferred_output": BAD}, Q),
    ({"input": "q", "preferred_completion": "g", "non_preferred_completion": "b"}, Q),
]


@pytest.mark.parametrize(("row", "messages"), PREFERENCES)
def test_a_row_with_a_chosen_and_a_rejected_answer_becomes_openais_preference_example(
    tmp_path: Path, row: dict[str, Any], messages: list[Message]
) -> None:
    result, examples = convert(tmp_path, row, "--strict")
    expected = {"input": {"messages": messages}, "preferred_output": GOOD, "non_preferred_output": BAD}
    assert (result.exit_code, examples) == (0, [expected]), result.output


def test_sharegpts_calls_get_ids_and_its_tools_the_chat_apis_form(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "q"},
        {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
        {"from": "observation", "value": "1"},
        {"from": "gpt", "value": "a"},
    ]
    result, examples = convert(tmp_path, {"conversations": turns, "tools": '[{"name": "f", "parameters": {}}]'})
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    assert result.exit_code == 0
    assert examples
    assert examples[0]["messages"][1:3] == [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "call_1"},
    ]
    assert examples[0]["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {}}}]


def test_a_reinforcement_example_keeps_what_its_grader_compares_with(tmp_path: Path) -> None:
    row = {"messages": said("2+2?"), "reference": "4"}
    assert convert(tmp_path, row, "--strict")[1] == [row]


REFUSED_ROWS = [
    ('{"prompt": "q", "question": "r", "answer": "a"}', "`prompt` and `question` could each be the user's message"),
    ('{"problem": "q", "solution": "s", "answer": "4"}', "`answer` and `solution` could each be the answer"),
    ('{"prompt": "p", "completion": "c", "messages": [{"role": "user", "content": "q"}, '
     '{"role": "assistant", "content": "a"}]}', "`messages` and `prompt` with `completion` could each be the example"),
    ('{"Prompt": "a", "prompt": "b", "completion": "c"}', "`Prompt` and `prompt` are both the name `prompt`"),
    ('{"prompt": "a", "prompt": "b", "completion": "c"}', "the name `prompt` occurs twice"),
    ('{"prompt": "q", "completion": "a", "label": false}', "(KTO)"),
    ('{"role": "user", "content": "q"}', "one message, not an example"),
    ('{"text": "### Instruction: q"}', "question and answer are not apart"),
    ('{"question": "q"}', "there is no answer"),
    ('{"prompt": "q", "chosen": "g"}', "there is no `rejected`"),
    ('{"chosen": "g", "rejected": "b"}', "there is no prompt"),
    ('{"conversations": [{"from": "agent", "value": "q"}]}', "--role agent=user"),
    ('{"conversations": [{"from": "observation", "value": "q"}]}', "no call before it"),
    ('{"conversations": ["q", "a"]}', "does not say who speaks"),
    ('{"question": "q", "answer": "a", "x": NaN}', "NaN is no JSON value"),
    ("{}", "this is empty"),
    ('["q", "a"]', "this is a list"),
    ("7,8\n9,10", "none of the fields is known"),
    ("- question: q", "neither JSON nor a table"),
    ("question,answer,Answer\na,b,c", "two columns are called"),
    ('{"train": [{"question": "q", "answer": "a"}], "test": [{"question": "q"}]}', "`train` and `test` both hold rows"),
    ("[" + PAIR + ",", "has no end that can be found"),
    ("", "There is no row to convert"),
    ("question,answer\n", "There is no row to convert"),
    ("[]", "this is a list"),
    (b"\x1f\x8b\x08", "gunzip"),
    (b"PK\x03\x04....xl/workbook.xml", "CSV UTF-8"),
    (b"PK\x03\x04....rows.jsonl", "unzip"),
    (b"PAR1", "read_parquet"),
    ('{"question": "caf\xe9", "answer": "a"}'.encode("latin-1"), "--encoding"),
    ("question,answer\nвопрос,ответ\n".encode("cp1251"), "--encoding"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "why"), REFUSED_ROWS)
def test_what_cannot_be_converted_is_refused_with_a_reason_and_without_a_file(
    tmp_path: Path, content: bytes | str, why: str
) -> None:
    result, examples = convert(tmp_path, content)
    assert (result.exit_code, examples) == (3, None)
    assert why in result.stderr
    assert "nothing is written" in result.stderr


def test_a_field_without_a_place_is_told_with_its_rows(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "a", "Id": 1, "empty": ""}, {"question": "q", "answer": "a", "Id": 2}]
    result, examples = convert(tmp_path, rows)
    assert examples == [{"messages": said("q", "a")}] * 2
    assert "`Id` has no place in an example and is lost in 2 rows. If you agree: --drop Id" in result.stderr
    assert "empty" not in result.stderr


@pytest.mark.parametrize(("options", "exit_code"), [(["--strict"], 3), (["--strict", "--drop", "id"], 0)])
def test_strict_refuses_what_no_drop_agrees_to(tmp_path: Path, options: list[str], exit_code: int) -> None:
    result, examples = convert(tmp_path, {"question": "q", "answer": "a", "Id": 1}, *options)
    assert (result.exit_code, examples is None) == (exit_code, exit_code == 3)


def test_a_field_inside_a_message_is_told_too(tmp_path: Path) -> None:
    result, _ = convert(tmp_path, {"conversations": [{**TURNS[0], "ts": 7}, TURNS[1]]})
    assert "`conversations[].ts`" in result.stderr


def test_json_says_what_became_of_each_row(tmp_path: Path) -> None:
    content = f'{PAIR}\n{{"question": "q", "answer": ""}}\n'
    result, examples = convert(tmp_path, content, "--json", "--skip-invalid")
    told = json.loads(result.stdout)
    assert (told["rows_in"], told["rows_out"], told["rows_left_out"], told["written"]) == (2, 1, 1, True)
    assert told["left_out"] == [{"line": 2, "row": None, "reason": "`answer` is empty"}]
    assert told["check"]["examples"] == len(examples or [])


WRONG_OPTIONS = (["--rename", "x"], ["--rename", "x=y"], ["--role", "x=y"], ["--encoding", "zip"], ["--encoding", "no"])


@pytest.mark.parametrize("options", [*WRONG_OPTIONS, ["--strict", "--skip-invalid"]])
def test_an_option_that_makes_no_sense_exits_with_2(tmp_path: Path, options: list[str]) -> None:
    assert convert(tmp_path, PAIR, *options)[0].exit_code == 2
