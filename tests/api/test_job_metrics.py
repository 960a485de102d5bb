"""GET …/{fine_tuning_job_id}/metrics and …/result.csv: a job's training in numbers."""

from typing import Any

import pytest
from sqlalchemy.dialects.postgresql import insert

from shared.database import transaction
from shared.jobs.models import Job, JobEvent
from tests.api.training import train
from tests.worker.support import running_job
from tests.world import Person, Sandbox, lines, step

SERIES = [f"{kind}_{name}" for name in ("loss", "mean_token_accuracy") for kind in ("train", "valid", "full_valid")]
HEADER = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\r\n"


def metrics_of(person: Person, job_id: str, **query: Any) -> dict[str, Any]:
    answer: Any = person.openai.get(f"/fine_tuning/jobs/{job_id}/metrics", cast_to=object, options={"params": query})
    assert isinstance(answer, dict)
    return answer


def told(person: Person, *data: dict[str, Any] | None) -> str:
    """A job of which the provider has told these metrics."""
    job_id = person.create_job()
    rows = [
        JobEvent(project_id=person.project_id, job_id=job_id, type="metrics", message="", data=each) for each in data
    ]
    with transaction() as session:
        session.exec(insert(JobEvent), params=[row.model_dump() for row in rows])
    return job_id


def wave(count: int) -> list[dict[str, Any]]:
    """Losses that rise and fall, with an outlier in each direction."""
    steps = [{"step": number, "train_loss": 1 + number % 7 / 10} for number in range(1, count + 1)]
    for number in range(9, count, 10):
        steps[number]["valid_loss"] = 2 + number % 9 / 10
    steps[count // 3] |= {"train_loss": 99.0, "valid_loss": 98.0}
    steps[count // 2] |= {"train_loss": 0.01, "full_valid_loss": 0.02}
    return steps


def test_every_number_of_a_training_is_there(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, validation_file=alice.upload(lines(10)), hyperparameters={"n_epochs": 2})
    metrics = metrics_of(alice, job.id)
    events = alice.openai.fine_tuning.jobs.list_events(job.id, limit=1000).data
    data = [event.data for event in reversed(events) if event.type == "metrics"]
    assert metrics.keys() == {"object", "job_id", "points", "total_points"}
    assert (metrics["object"], metrics["job_id"], metrics["total_points"]) == (
        "fine_tuning.job.metrics",
        job.id,
        len(data),
    )
    assert metrics["points"] == [
        {"step": each["step"], **{name: each.get(name) for name in SERIES}} for each in data if isinstance(each, dict)
    ]


def test_the_result_is_what_the_provider_puts_into_its_file(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, validation_file=alice.upload(lines(10)))
    answer = alice.http.get(f"/fine_tuning/jobs/{job.id}/result.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{job.id}.csv"'
    assert answer.content == alice.openai.files.content(job.result_files[0]).content


def test_a_job_that_runs_has_the_metrics_so_far(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    assert metrics_of(alice, job_id)["points"] == []
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}/result.csv").text == HEADER
    sandbox.move(theirs, step=3)
    step(Job, job_id)
    assert [point["step"] for point in metrics_of(alice, job_id)["points"]] == [1, 2, 3]
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}/result.csv").text.count("\r\n") == 4


def test_what_is_thinned_keeps_both_ends_and_the_extremes(alice: Person) -> None:
    job_id = told(alice, *wave(1000))
    for resolution in (2, 3, 7, 8, 20, 100, 999):
        metrics = metrics_of(alice, job_id, resolution=resolution)
        steps = [point["step"] for point in metrics["points"]]
        assert (metrics["total_points"], steps[0], steps[-1]) == (1000, 1, 1000)
        assert len(steps) <= resolution
        assert steps == sorted(set(steps))
        if resolution >= 8:
            assert {99.0, 0.01} <= {point["train_loss"] for point in metrics["points"]}
            assert 98.0 in {point["valid_loss"] for point in metrics["points"]}
            assert 0.02 in {point["full_valid_loss"] for point in metrics["points"]}


def test_what_is_no_number_is_as_if_it_had_not_been_told(alice: Person) -> None:
    odd: list[dict[str, Any] | None] = [
        {"step": 1, "train_loss": "much", "valid_loss": None, "train_mean_token_accuracy": {}},
        {"step": 2, "train_loss": "0.5", "valid_loss": "NaN"},
        {"step": "3", "train_loss": 0.1},
        {"train_loss": 0.1},
        None,
    ]
    job_id = told(alice, *odd)
    for resolution in (2, 500):
        points = metrics_of(alice, job_id, resolution=resolution)["points"]
        assert [(point["step"], point["train_loss"], point["valid_loss"]) for point in points] == [
            (1, None, None),
            (2, 0.5, None),
        ]
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}/result.csv").text == f"{HEADER}1,,,,\r\n2,0.5,,,\r\n"


@pytest.mark.parametrize("resolution", [1, 10_001, "all"])
def test_a_wrong_resolution_is_named(alice: Person, resolution: object) -> None:
    answer = alice.http.get("/fine_tuning/jobs/ftjob-x/metrics", params={"resolution": str(resolution)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "resolution")
