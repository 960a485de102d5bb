"""`tunery jobs`: what a job shows, and two of them beside each other."""

import csv
import json
from pathlib import Path

import pytest

from shared.jobs.models import Job
from tests.cli.client.ended_jobs import succeeded
from tests.cli.terminal import Tunery
from tests.world import Person, Sandbox, row, work, work_until_created


def test_jobs_are_listed_newest_first_and_by_status(at_alices: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    old = succeeded(at_alices, sandbox)
    new = at_alices.create_job(metadata={"team": "search"})
    titles, first, second = tunery("jobs", "list").out.splitlines()
    assert titles.split() == ["JOB", "STATUS", "CREATED", "COST", "MODEL"]
    assert first.split()[:2] == [new, "validating_files"]
    assert second.split()[:2] == [old, "succeeded"]
    assert [row.split()[0] for row in tunery("jobs", "list", "--status", "succeeded").out.splitlines()[1:]] == [old]
    tagged = json.loads(tunery("jobs", "list", "--metadata", "team=search", "--json").out)
    assert ([job["id"] for job in tagged["data"]], tagged["has_more"]) == ([new], False)
    said = tunery("jobs", "list", "--status", "failed")
    assert (said.code, said.out, said.err.startswith("There are no such jobs.")) == (0, "", True)


def test_a_job_shows_what_was_asked_for_and_how_it_ended(at_alices: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    job_id = succeeded(at_alices, sandbox, suffix="abc", seed=7, metadata={"team": "search"})
    said = tunery("jobs", "show", job_id)
    shown = dict(line.split("  ", 1) for line in said.out.splitlines())
    found = {name: value.strip() for name, value in shown.items()}
    assert (found["job"], found["status"], found["seed"], found["suffix"]) == (job_id, "succeeded", "7", "abc")
    assert found["metadata"] == "team=search"
    assert found["tuned model"].startswith("ft:gpt-4o-mini-2024-07-18:")
    assert max(map(len, said.out.splitlines())) <= 100
    assert (
        json.loads(tunery("jobs", "show", job_id, "--json").out)
        == at_alices.http.get(f"/fine_tuning/jobs/{job_id}").json()
    )


def test_events_are_shown_in_their_order_and_page_backwards(
    at_alices: Person, sandbox: Sandbox, tunery: Tunery
) -> None:
    job_id = succeeded(at_alices, sandbox)
    last = tunery("jobs", "events", job_id, "--limit", "1")
    assert last.out.endswith("The job has successfully completed\n")
    assert "There are earlier ones: --after ftevent-" in last.err
    everything = tunery("jobs", "events", job_id, "--all")
    assert "Job accepted" in everything.out.splitlines()[0]
    assert everything.out.splitlines()[-1] == last.out.strip()
    assert len(json.loads(tunery("jobs", "events", job_id, "--all", "--json").out)["data"]) == len(
        everything.out.splitlines()
    )


def test_only_what_differs_is_compared_with_the_losses(at_alices: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    file_id = at_alices.upload()
    jobs = [
        succeeded(at_alices, sandbox, training_file=file_id, seed=7, hyperparameters={"n_epochs": epochs})
        for epochs in (1, 2)
    ]
    titles, *rows = tunery("jobs", "compare", *jobs).out.splitlines()
    assert titles.split() == jobs
    names = [line.split()[0] for line in rows]
    assert {"n_epochs", "trained_tokens", "best_train_loss", "last_train_loss"} <= set(names)
    assert {"status", "training_file", "seed", "model", "batch_size"}.isdisjoint(names)
    found = json.loads(tunery("jobs", "compare", *jobs, "--json").out)
    assert (found["jobs"], found["different"]["n_epochs"]) == (jobs, [1, 2])
    for job_id, loss in zip(jobs, found["losses"]["best_train_loss"], strict=True):
        points = at_alices.http.get(f"/fine_tuning/jobs/{job_id}/metrics").json()["points"]
        assert loss["loss"] == min(point["train_loss"] for point in points)


def test_metrics_are_shown_from_the_first_step_to_the_last(at_alices: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    job_id = succeeded(at_alices, sandbox)
    assert tunery("jobs", "metrics", at_alices.create_job()).err.startswith("There are no metrics yet")
    points = json.loads(tunery("jobs", "metrics", job_id, "--json").out)["points"]
    titles, *rows = tunery("jobs", "metrics", job_id, "--rows", "3").out.splitlines()
    assert titles.split() == ["STEP", "LOSS", "ACCURACY"]
    assert [int(line.split()[0]) for line in rows] == [1, (1 + len(points)) // 2, len(points)]


def test_the_result_file_is_written_whole(at_alices: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path) -> None:
    job_id = succeeded(at_alices, sandbox)
    target = tmp_path / "metrics.csv"
    said = tunery("jobs", "results", job_id, str(target), "--json")
    assert json.loads(said.out) == {"id": job_id, "path": str(target), "bytes": target.stat().st_size}
    first, *_ = csv.DictReader(target.read_text().splitlines())
    assert (first["step"], float(first["train_loss"]) > 0) == ("1", True)


def test_the_steps_so_far_are_the_result_of_a_job_that_runs(
    at_alices: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path
) -> None:
    job_id = at_alices.create_job()
    sandbox.move(work_until_created(job_id), step=3)
    work(2)
    tunery("jobs", "results", job_id, str(tmp_path / "metrics.csv"))
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(("request_", "status"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_request_is_made_and_its_outcome_said(
    at_alices: Person, sandbox: Sandbox, tunery: Tunery, request_: str, status: str
) -> None:
    job_id = at_alices.create_job()
    sandbox.move(work_until_created(job_id), status="running")
    work(2)
    said = tunery("jobs", request_, job_id)
    assert (said.code, said.out.split()[0]) == (0, job_id)
    for _ in range(5):
        work()
    assert row(Job, job_id).status == status
    again = tunery("jobs", "resume", job_id, "--json")
    assert (again.code, again.out == "") == ((0, False) if status == "paused" else (1, True))
