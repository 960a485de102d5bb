"""The client's commands on a server that has OpenAI's API and nothing of Tunery's own."""

import base64
import json
from pathlib import Path

import pytest

from tests.cli.terminal import Tunery
from tests.world import Sandbox


def started(tunery: Tunery, train: Path) -> str:
    said = tunery("jobs", "create", "--file", str(train), "--model", "gpt-4o-mini", "--epochs", "1", "-y")
    assert said.code == 0
    assert "At OpenAI's list price the training will cost 0.00" in said.err
    return said.out.strip()


def test_a_job_is_created_watched_and_compared(at_openai: Sandbox, tunery: Tunery, train: Path) -> None:
    first, second = started(tunery, train), started(tunery, train)
    for job_id in (first, second):
        at_openai.move(job_id, status="succeeded")
    assert tunery("jobs", "watch", first).out.splitlines()[-1].startswith("ok  succeeded")
    assert len(json.loads(tunery("jobs", "metrics", first, "--json").out)["points"]) == 12
    losses = json.loads(tunery("jobs", "compare", first, second, "--json").out)["losses"]
    assert {"best_train_loss", "last_train_loss"} <= set(losses)
    assert tunery("jobs", "results", first).out.startswith("step,train_loss,")
    assert first in tunery("jobs", "list").out


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("datasets", "estimate", "{file}", "--model", "gpt-4o-mini"), "This server has no estimate of a file"),
        (("datasets", "errors", "{file}"), "This server has no list of a file's errors"),
        (("jobs", "create", "--from-job", "{job}", "-y"), "This server does not copy jobs"),
        (("jobs", "results", "{job}"), "has no result file: there is one when a job has succeeded"),
        (("datasets", "errors", "file-missing"), "No such File object: file-missing"),
        (("jobs", "pause", "ftjob-missing"), "ftjob-missing"),
    ],
)
def test_what_a_server_lacks_is_one_sentence(
    at_openai: Sandbox, tunery: Tunery, train: Path, command: tuple[str, ...], sentence: str
) -> None:
    job_id = started(tunery, train)
    at_openai.move(job_id, status="running")
    [file] = at_openai.files()
    said = tunery(*(each.format(file=file.id, job=job_id) for each in command))
    assert (said.code, said.out) == (1, "")
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_a_tuned_model_is_asked_beside_its_base_and_deleted(at_openai: Sandbox, tunery: Tunery, train: Path) -> None:
    job_id = started(tunery, train)
    at_openai.move(job_id, status="succeeded")
    model = str(at_openai.openai.fine_tuning.jobs.retrieve(job_id).fine_tuned_model)
    assert model in [line.split()[-1] for line in tunery("models", "list", "--tuned").out.splitlines()]
    asked = tunery("chat", model, "Question 3", "--system", "Answer.")
    assert (asked.code, asked.out, asked.err) == (0, "Answer 3\n", "")
    both = json.loads(tunery("chat", model, "Question 3", "--compare", "base", "--json").out)["data"]
    assert [each["model"] for each in both] == ["gpt-4o-mini-2024-07-18", model]
    plain = tunery("chat", model, "Question 3", "--compare", "base").out
    assert f"{model}: Answer 3" in plain
    assert tunery("models", "delete", model, "-y").out == f"{model} is deleted.\n"
    assert tunery("models", "show", model).code == 1


def test_a_prompt_comes_from_standard_input(
    at_openai: Sandbox, tunery: Tunery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "question").write_text("What is a gradient?\n")
    with (tmp_path / "question").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        said = tunery("chat", "gpt-4o-mini", "--json")
    assert "gradient" in json.loads(said.out)["choices"][0]["message"]["content"]
    with (tmp_path / "nothing").open("w+") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert tunery("chat", "gpt-4o-mini").err.startswith("There is nothing to ask")


def test_results_in_base64_are_a_csv_again(at_openai: Sandbox, tunery: Tunery, train: Path) -> None:
    job_id = started(tunery, train)
    at_openai.move(job_id, status="succeeded")
    content = b"step,train_loss\n1,0.5\n"
    at_openai.arm("GET", "/v1/files/*/content", status=200, body=base64.b64encode(content).decode())
    assert tunery("jobs", "results", job_id).out == content.decode()
