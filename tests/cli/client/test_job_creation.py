"""`tunery jobs create`: nothing is sent that cannot be trained on, and nothing starts that was not agreed to."""

import io
import json
from pathlib import Path

import pytest

from shared.jobs.models import Job
from tests.cli.terminal import Tunery
from tests.world import Person, RunningStack, lines, official_sdk, row, work


def create(tunery: Tunery, file: str | Path, *options: str) -> "tuple[int | str | None, str, str]":
    said = tunery("jobs", "create", "--file", str(file), "--model", "gpt-4o-mini", *options)
    return said.code, said.out, said.err


def test_a_file_of_this_machine_is_uploaded_priced_trained_and_waited_for(
    at_stack: RunningStack, tunery: Tunery, train: Path
) -> None:
    code, out, err = create(tunery, train, "--epochs", "1", "--suffix", "cli", "-y", "--wait")
    with official_sdk(at_stack.base_url, at_stack.api_key) as client:
        job = client.fine_tuning.jobs.retrieve(out.strip())
    assert (code, out, job.status, job.hyperparameters.n_epochs) == (0, f"{job.id}\n", "succeeded", 1)
    assert "The training will cost 0.00" in err
    assert "step 12/12, training loss" in err
    assert job.fine_tuned_model
    assert job.fine_tuned_model in err


def test_a_watched_job_is_a_line_for_each_event_and_each_status(
    at_stack: RunningStack, tunery: Tunery, train: Path
) -> None:
    _, job_id, _ = create(tunery, train, "--epochs", "1", "-y")
    said = tunery("jobs", "watch", job_id.strip(), "--json")
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, said.err) == (0, "")
    assert (documents[-1]["id"], documents[-1]["status"]) == (job_id.strip(), "succeeded")
    assert [each["data"]["step"] for each in documents if each.get("type") == "metrics"] == list(range(1, 13))


def test_a_job_that_does_not_succeed_exits_with_3(at_stack: RunningStack, tunery: Tunery, train: Path) -> None:
    _, job_id, _ = create(tunery, train, "--epochs", "50", "-y")
    assert tunery("jobs", "cancel", job_id.strip()).code == 0
    said = tunery("jobs", "watch", job_id.strip())
    assert (said.code, said.out.splitlines()[-1].split()[0]) == (3, "cancelled")


def test_what_was_uploaded_is_deleted_if_the_price_is_declined(
    at_stack: RunningStack, tunery: Tunery, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with official_sdk(at_stack.base_url, at_stack.api_key) as client:
        files, jobs = client.files.list(purpose="fine-tune").data, client.fine_tuning.jobs.list().data
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        code, out, err = create(tunery, train)
        assert (code, out) == (1, "")
        assert err.endswith("is deleted again.\nNothing was done.\n")
        assert [file.id for file in client.files.list(purpose="fine-tune")] == [file.id for file in files]
        assert [job.id for job in client.fine_tuning.jobs.list()] == [job.id for job in jobs]


def test_a_file_with_errors_is_not_sent(at_alices: Person, tunery: Tunery, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(lines().replace(b'"assistant"', b'"bot"', 1))
    code, out, err = create(tunery, bad, "-y")
    assert (code, out) == (1, "")
    assert f"{bad}:1: unrecognized_role: the role 'bot' is not known" in err
    assert "Write the role as `assistant`" in err
    assert f"./tunery datasets check {bad} --model gpt-4o-mini" in err
    assert at_alices.openai.files.list().data == []


def test_an_estimate_starts_nothing_and_needs_no_server(
    tunery: Tunery, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    code, out, _ = create(tunery, train, "--epochs", "2", "--estimate", "--json")
    found = json.loads(out)
    assert (code, found["epochs"], found["billed_tokens"]) == (0, 2, 2 * found["tokens"])
    same = tunery("datasets", "estimate", str(train), "--model", "gpt-4o-mini", "--epochs", "2", "--json")
    assert json.loads(same.out) == found


def test_an_estimate_of_the_servers_file_is_the_servers(at_alices: Person, tunery: Tunery) -> None:
    file_id = at_alices.upload()
    work(2)
    code, out, _ = create(tunery, file_id, "--estimate", "--json")
    params = {"model": "gpt-4o-mini"}
    assert (code, json.loads(out)) == (0, at_alices.http.get(f"/datasets/{file_id}/estimate", params=params).json())
    assert at_alices.openai.fine_tuning.jobs.list().data == []


def test_all_that_was_asked_for_is_in_the_request(at_alices: Person, tunery: Tunery) -> None:
    file_id = at_alices.upload()
    work(2)
    numbers = ("--epochs", "2", "--batch-size", "auto", "--lr-multiplier", "0.5")
    others = ("--suffix", "abc", "--seed", "7", "--metadata", "team=search", "--priority", "high", "--no-deploy")
    code, out, _ = create(tunery, file_id, "--method", "supervised", *numbers, *others, "-y", "--json")
    job = json.loads(out)
    assert (code, job) == (0, at_alices.http.get(f"/fine_tuning/jobs/{job['id']}").json())
    assert job["method"]["supervised"]["hyperparameters"] == {
        "n_epochs": 2,
        "batch_size": "auto",
        "learning_rate_multiplier": 0.5,
    }
    assert job["deploy_on_success"] is False
    assert (job["user_provided_suffix"], job["seed"], job["metadata"]) == ("abc", 7, {"team": "search"})
    _, copy, _ = tunery("jobs", "create", "--from-job", job["id"], "--seed", "8", "-y").__dict__.values()
    assert (row(Job, copy.strip()).seed, row(Job, copy.strip()).suffix) == (8, "abc")


def test_what_the_server_refuses_is_one_sentence(at_alices: Person, tunery: Tunery) -> None:
    file_id = at_alices.upload()
    work(2)
    code, out, err = create(tunery, file_id, "--hyperparameter", "beta=0.1", "-y")
    assert (code, out) == (1, "")
    assert "beta" in err.splitlines()[-1]
