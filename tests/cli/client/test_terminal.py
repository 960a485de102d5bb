"""The client's commands in a shell: help with examples, pipes that close early, Ctrl-C."""

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from cli.__main__ import app
from cli.local import commands
from tests.cli.terminal import Tunery
from tests.world import Person

ALL: Any = get_command(app)
OURS = ("chat", "files", "jobs", "models")
PYTHON = [commands.PYTHON, "-m", "cli"]


def leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not hasattr(command, "commands"):
        yield words
        return
    for name, each in command.commands.items():
        yield from leaves(each, (*words, name))


COMMANDS = [
    *(words for name in OURS for words in leaves(ALL.commands[name], (name,))),
    ("datasets", "errors"),
    ("datasets", "estimate"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_has_an_example_and_json(tunery: Tunery, words: tuple[str, ...]) -> None:
    said = tunery(*words, "--help")
    assert said.code == 0
    assert f"./tunery {' '.join(words)}" in " ".join(said.out.split())
    assert "--json" in said.out
    assert f"| `./tunery {' '.join(words)}" in (commands.ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize("words", [("files", "list"), ("files", "show"), ("files", "download"), ("models", "list")])
def test_a_pipe_that_is_closed_is_no_error(at_alices: Person, words: tuple[str, ...], options: tuple[str, ...]) -> None:
    file_id = at_alices.upload()
    arguments = [*words, *([file_id] if words[-1] in ("show", "download") else []), *options]
    reading, writing = os.pipe()
    os.close(reading)
    said = subprocess.run([*PYTHON, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, cwd=commands.ROOT)
    os.close(writing)
    assert "Traceback" not in said.stderr
    assert "BrokenPipe" not in said.stderr


def test_ctrl_c_ends_the_watching_and_says_how_to_go_on(at_alices: Person) -> None:
    job_id = at_alices.create_job()
    watching = subprocess.Popen(
        [*PYTHON, "jobs", "watch", job_id],
        cwd=commands.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout
    assert "Job accepted" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate()
    assert (watching.returncode, err) == (130, f"\nThe job goes on. Watch it again: ./tunery jobs watch {job_id}\n")
    assert at_alices.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
