"""The examples are what they claim to be, and the tutorial's own calls run, unchanged, in Python and in JavaScript."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PYTHON, JAVASCRIPT = EXAMPLES / "tutorial.py", EXAMPLES / "tutorial.mjs"
CALLS = {
    "files.create",
    "fine_tuning.jobs.create",
    "fine_tuning.jobs.list",
    "fine_tuning.jobs.retrieve",
    "fine_tuning.jobs.cancel",
    "fine_tuning.jobs.list_events",
    "chat.completions.create",
    "models.delete",
}
NODE_OF_THE_SDK = 22  # what openai 7 asks for in its `engines`


class Stack(Protocol):
    """What the fixture `stack` gives: a running service and a key of one of its projects."""

    base_url: str
    api_key: str


def messages(name: str) -> list[list[dict[str, str]]]:
    lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


@pytest.mark.parametrize(("name", "count"), [("train.jsonl", 50), ("valid.jsonl", 10)])
def test_every_line_is_a_question_and_an_answer_under_one_instruction(name: str, count: int) -> None:
    examples = messages(name)
    assert len(examples) == count
    for example in examples:
        assert [message["role"] for message in example] == ["system", "user", "assistant"]
        assert all(message["content"].strip() == message["content"] != "" for message in example)
    assert len({example[0]["content"] for example in examples}) == 1


def test_no_question_and_no_answer_is_given_twice() -> None:
    examples = messages("train.jsonl") + messages("valid.jsonl")
    for place in (1, 2):
        assert len({example[place]["content"].casefold() for example in examples}) == len(examples)


def test_the_training_file_is_about_as_large_as_the_tutorials() -> None:
    assert 11_000 <= (EXAMPLES / "train.jsonl").stat().st_size <= 25_000


def test_the_tutorial_asks_under_the_instruction_it_was_trained_with() -> None:
    instruction = messages("train.jsonl")[0][0]["content"]
    for source in (PYTHON, JAVASCRIPT):
        assert json.dumps(instruction) in source.read_text()


@pytest.mark.parametrize("source", [PYTHON, JAVASCRIPT], ids=lambda source: source.name)
def test_no_line_of_the_tutorial_knows_of_us(source: Path) -> None:
    assert "tunery" not in source.read_text().casefold()


def test_the_tutorial_needs_the_official_sdk_and_nothing_else() -> None:
    nodes = list(ast.walk(ast.parse(PYTHON.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in imported}
    assert packages - sys.stdlib_module_names == {"openai"}
    assert json.loads((EXAMPLES / "package.json").read_text())["dependencies"].keys() == {"openai"}


@pytest.mark.parametrize("source", [PYTHON, JAVASCRIPT], ids=lambda source: source.name)
def test_each_language_makes_all_of_the_tutorials_calls(source: Path) -> None:
    calls = re.findall(r"\bclient\.([\w.]+)\(", source.read_text())
    assert {re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", call) for call in calls} == CALLS


def test_the_tutorial_says_in_one_sentence_what_is_wrong(stack: Stack) -> None:
    run = in_a_foreign_folder([sys.executable, str(PYTHON)], stack, OPENAI_API_KEY="sk-nobody")
    assert run.returncode == 1
    assert "That did not work: Error code: 401" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_tutorial_runs(stack: Stack) -> None:
    check(in_a_foreign_folder([sys.executable, str(PYTHON)], stack))


def test_the_tutorial_runs_in_javascript(stack: Stack, tmp_path: Path) -> None:
    node = usable_node()
    for file in (JAVASCRIPT, EXAMPLES / "package.json", EXAMPLES / "train.jsonl"):
        shutil.copy(file, tmp_path)
    install = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "--fetch-retries=0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if install.returncode:
        pytest.skip(f"npm cannot install the openai package here: {install.stderr.strip() or install.returncode}")
    check(in_a_foreign_folder([node, str(tmp_path / JAVASCRIPT.name)], stack))


def usable_node() -> str:
    """Node, if it is new enough for the SDK; only then is a package registry asked for anything."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("Node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < NODE_OF_THE_SDK:
        pytest.skip(f"Node {version} is here, and the openai package asks for {NODE_OF_THE_SDK} or newer")
    return node


def in_a_foreign_folder(command: list[str], stack: Stack, **changes: str) -> subprocess.CompletedProcess[str]:
    """The program with the two variables that a newcomer sets, in a folder that is not the repository's."""
    ours: Mapping[str, str] = {"OPENAI_BASE_URL": stack.base_url, "OPENAI_API_KEY": stack.api_key}
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "TUNERY_"))}
    return subprocess.run(
        command, env={**theirs, **ours, **changes}, cwd="/", capture_output=True, text=True, timeout=100
    )


def check(run: subprocess.CompletedProcess[str]) -> None:
    """Each step was seen to happen, and the model answers as one of its examples does."""
    assert run.returncode == 0, run.stdout + run.stderr
    shown = run.stdout
    for sign in ("file-", "ftjob-", "Created fine-tuning job", "The job has successfully completed", "loss", "█"):
        assert sign in shown
    answer = shown.partition("6. Use the model")[2].partition("Cancel a second job")[0]
    assert any(example[2]["content"] in answer for example in messages("train.jsonl")), answer
    assert "cancelled" in shown.partition("Cancel a second job")[2]
    assert re.search(r"deleted\W+true", shown.partition("Delete the model")[2], re.IGNORECASE)
