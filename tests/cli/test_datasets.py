"""`tunery datasets check` and `convert`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.datasets.commands import app

CHAT = (
    '{{"messages": [{{"role": "user", "content": "Q {0}"}}, {{"role": "assistant", "content": "The answer {0}"}}]}}\n'
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.jsonl"
    path.write_text("".join(CHAT.format(n) for n in range(12)))
    return path


@pytest.fixture
def bad(good: Path) -> Path:
    path = good.with_name("bad.jsonl")
    path.write_text(good.read_text() + "{]\n")
    return path


def test_a_good_file_shows_statistics_histogram_and_price(good: Path) -> None:
    result = run("check", good, "--model", "gpt-4o-mini")
    assert result.exit_code == 0
    for told in ("chat, 12 examples", "no errors", "tokens per example", "█", "price     0.0052 USD", "8 epochs"):
        assert told in result.stdout


def test_an_error_is_told_as_file_line_code_and_sentence(bad: Path) -> None:
    result = run("check", bad, "--no-tokens")
    assert result.exit_code == 3
    assert f"{bad}:13: invalid_json: not JSON: " in result.stdout


def test_json_is_for_programs(bad: Path) -> None:
    result = run("check", bad, "--format", "json", "--no-tokens")
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (found["report"]["problems"][12]["line"], found["report"]["counts"]["invalid_json"]) == (13, 1)
    assert found["estimate"] is None


def test_json_has_the_estimate_of_a_model(good: Path) -> None:
    found = json.loads(run("check", good, "--format", "json", "--model", "gpt-4.1").stdout)
    assert found["estimate"]["amount"] == "0.0432"


def test_an_unknown_price_is_not_zero(good: Path) -> None:
    assert "price     unknown." in run("check", good, "--model", "llama-3").stdout


@pytest.mark.parametrize("arguments", [("check", "/none.jsonl"), ("check",), ("check", __file__, "--method", "magic")])
def test_a_wrong_command_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_data_cannot_steer_the_terminal(good: Path) -> None:
    good.write_text(good.read_text() + '{"messages": [{"role": "\\u001b[2J", "content": "x"}]}\n')
    assert "\x1b" not in run("check", good, "--no-tokens").stdout


def test_prompt_and_completion_lines_become_chat(tmp_path: Path) -> None:
    source, target = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    source.write_text('{"prompt": "Hello ->", "completion": " hi\\n"}\n\n{"prompt": "Bye ->", "completion": " bye"}\n')
    result = run("convert", source, target, "--system", "Be kind.")
    assert result.exit_code == 0
    assert "2 examples" in result.stderr
    roles = [message["role"] for message in json.loads(target.read_text().splitlines()[0])["messages"]]
    assert roles == ["system", "user", "assistant"]
    assert json.loads(target.read_text().splitlines()[1])["messages"][2]["content"] == "bye"


def test_csv_becomes_chat(tmp_path: Path) -> None:
    source = tmp_path / "table.csv"
    source.write_text('\ufeffQuestion,Answer,system\n"What, now?","Nothing\nat all",Be brief\n', encoding="utf-8")
    result = run("convert", source)
    assert [message["content"] for message in json.loads(result.stdout)["messages"]] == [
        "Be brief",
        "What, now?",
        "Nothing\nat all",
    ]


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (b"prompt,completion\na,b\nc,\n", 3, "`completion` is empty"),
        (b"prompt,completion\na,b,c\n", 2, "more fields"),
        (b"first,second\na,b\n", 2, "none of the fields is known"),
        (b'{"prompt": "a", "completion": "b"}\n{"prompt": 1, "completion": "b"}\n', 2, "`prompt` is no text"),
        (b'{"prompt": "a", "completion": "b"}\n{"prompt": \n', 2, "not JSON"),
        (b'prompt,completion\n"a,b\n', 2, "not CSV"),
        (b"prompt,completion\na,\x81\n", 2, "not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_converted_is_named_and_nothing_is_left(
    tmp_path: Path, content: bytes, line: int, why: str
) -> None:
    source, target = tmp_path / "source", tmp_path / "target.jsonl"
    source.write_bytes(content)
    result = run("convert", source, target)
    assert result.exit_code == 3
    assert f"{source}:{line}: " in result.stderr
    assert why in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
