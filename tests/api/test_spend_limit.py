"""/v1/organization/projects/{id}/spend_limit, and what it does to jobs."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, RateLimitError

from shared.datasets.models import Dataset
from shared.jobs.models import Job
from tests.api.administration import Operator, big_file, counted_file, estimate_of
from tests.api.wire import send
from tests.worker.support import calls, ids
from tests.world import Person, Sandbox, lines, row, step, work


def test_a_limit_is_set_shown_and_deleted_as_openai_does(operator: Operator, alice: Person) -> None:
    limits = operator.openai.admin.organization.projects.spend_limit
    with pytest.raises(NotFoundError):
        limits.retrieve(alice.project_id)
    made = operator.limit(alice, 12_345)
    assert (made.threshold_amount, made.currency, made.interval, made.enforcement.status) == (
        12_345,
        "USD",
        "month",
        "inactive",
    )
    assert limits.retrieve(alice.project_id) == made
    assert made.to_dict()["remaining"] == "123.45"
    assert limits.delete(alice.project_id).deleted
    with pytest.raises(NotFoundError):
        limits.retrieve(alice.project_id)
    with pytest.raises(NotFoundError):
        limits.delete("proj_none")


def test_creating_a_job_reserves_its_estimate(operator: Operator, alice: Person) -> None:
    file_id = counted_file(alice)
    operator.limit(alice, 100_000)
    job_id = alice.create_job(training_file=file_id)
    job: Any = alice.openai.fine_tuning.jobs.retrieve(job_id).to_dict()
    [entry] = operator.entries(alice)
    assert (entry["kind"], entry["job_id"], entry["amount"]) == ("reserve", job_id, f"{estimate_of(alice, file_id):f}")
    assert (entry["quantity"], entry["line_item"]) == (
        job["estimated_cost"]["tokens"],
        "gpt-4o-mini-2024-07-18, training",
    )
    assert operator.limit(alice, 100_000).to_dict()["reserved"] == entry["amount"]


def test_a_job_beyond_the_limit_is_refused_and_leaves_nothing_behind(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    file_id = counted_file(alice)
    operator.limit(alice, 0)
    body = b'{"model": "gpt-4o-mini", "training_file": "%s"}' % file_id.encode()
    answer = send(alice, "POST", "/fine_tuning/jobs", body)
    assert answer.status == 429
    error = answer.json["error"]
    assert (error["code"], error["type"]) == ("project_spend_limit_exceeded", "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    for said in (f"{estimate_of(alice, file_id):f} USD", "0.00 USD is left", "limit of 0.00 USD", "ask your operator"):
        assert said in error["message"]
    with pytest.raises(RateLimitError):
        alice.create_job(training_file=file_id)
    work(2)
    assert (ids(Job), operator.entries(alice)) == ([], [])
    assert calls(sandbox, "POST /v1/files") == 0


def test_of_a_hundred_concurrent_jobs_that_cost_a_tenth_each_ten_are_accepted(
    operator: Operator, alice: Person
) -> None:
    file_id = big_file(alice)
    cents = int(estimate_of(alice, file_id) * 10 * 100) + 1
    operator.limit(alice, cents)

    def create(_: int) -> str:
        try:
            return "accepted" if alice.create_job(training_file=file_id) else ""
        except RateLimitError as error:
            return str(error.code)

    with ThreadPoolExecutor(20) as pool:
        outcomes = Counter(pool.map(create, range(100)))
    assert outcomes == {"accepted": 10, "project_spend_limit_exceeded": 90}
    shown = operator.limit(alice, cents).to_dict()
    assert Decimal(str(shown["reserved"])) == estimate_of(alice, file_id) * 10 <= Decimal(cents) / 100


def test_a_job_whose_file_is_still_checked_reserves_before_the_provider_sees_anything(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    operator.limit(alice, 100_000)
    job_id = alice.create_job()
    assert operator.entries(alice) == []
    file_id = row(Job, job_id).training_file
    step(Dataset, file_id)  # checked, and not counted yet
    step(Job, job_id)
    assert (calls(sandbox, "POST /v1/files"), operator.entries(alice)) == (0, [])
    work(3)
    assert [entry["kind"] for entry in operator.entries(alice)] == ["reserve"]
    assert len(sandbox.jobs()) == 1


def test_a_job_that_turns_out_to_be_beyond_the_limit_fails_before_the_provider_sees_anything(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    operator.limit(alice, 1)
    job_id = alice.create_job(training_file=alice.upload(lines(300)))
    work(3)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "project_spend_limit_exceeded")
    assert "limit of 0.01 USD" in job.error.message
    assert (calls(sandbox, "POST /v1/files"), operator.entries(alice)) == (0, [])


def test_when_nothing_is_left_a_job_is_refused_before_its_cost_is_known(operator: Operator, alice: Person) -> None:
    operator.limit(alice, 0)
    with pytest.raises(RateLimitError):
        alice.create_job()


@pytest.mark.parametrize("model", ["gpt-4o-mini-of-tomorrow", "gpt-4-0613"])
def test_a_model_of_unknown_price_is_refused_where_spending_is_limited(
    operator: Operator, alice: Person, model: str
) -> None:
    file_id = counted_file(alice)
    alice.create_job(training_file=file_id, model=model)
    operator.limit(alice, 100_000)
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(training_file=file_id, model=model)
    assert (refused.value.code, refused.value.param) == ("cost_unknown", "model")


def test_bobs_jobs_do_not_use_alices_budget(operator: Operator, alice: Person, bob: Person) -> None:
    operator.limit(alice, 0)
    bob.create_job(training_file=counted_file(bob))
    assert operator.limit(alice, 0).to_dict()["reserved"] == "0.00"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"threshold_amount": -1}, "threshold_amount"),
        ({"threshold_amount": 1.5}, "threshold_amount"),
        ({"threshold_amount": 10**14}, "threshold_amount"),
        ({"threshold_amount": 1, "currency": "EUR"}, "currency"),
        ({"threshold_amount": 1, "interval": "day"}, "interval"),
        ({"threshold_amount": 1, "alert_percentages": [101]}, "alert_percentages.0"),
    ],
)
def test_an_invalid_limit_is_refused(operator: Operator, alice: Person, body: dict[str, Any], param: str) -> None:
    new = {"currency": "USD", "interval": "month", **body}
    answer = operator.http.post(f"/projects/{alice.project_id}/spend_limit", json=new)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
