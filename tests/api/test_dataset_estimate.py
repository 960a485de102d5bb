"""The price of a training, estimated for a dataset and shown with the job."""

from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

from shared.datasets.models import Dataset
from shared.datasets.validation.check import check
from shared.jobs.models import Job
from tests.api.datasets import show
from tests.worker.support import change
from tests.world import Person, Sandbox, lines, row, step, work, work_until_created


def test_an_estimate_says_the_price_and_how_it_came_about(alice: Person) -> None:
    dataset_id = alice.upload(lines(10))
    work()
    assert alice.http.get(f"/datasets/{dataset_id}/estimate?model=gpt-4o-mini").json()["error"]["code"] == (
        "dataset_not_checked"
    )
    work()
    found = show(alice, dataset_id, "/estimate?model=gpt-4o-mini&n_epochs=4")
    assert found["billed_tokens"] == 4 * show(alice, dataset_id)["statistics"]["tokens"]["total"]
    assert Decimal(found["amount"]) == Decimal(found["billed_tokens"]) * 3 / 1_000_000
    unknown = show(alice, dataset_id, "/estimate?model=my-own-model")
    assert (unknown["amount"], bool(unknown["reason"])) == (None, True)


def test_a_model_that_reads_other_tokens_gets_an_exact_estimate_once_they_are_counted(alice: Person) -> None:
    content = lines(12)
    dataset_id = alice.upload(content)
    work(2)
    report = show(alice, dataset_id)
    for _ in range(2):
        before = show(alice, dataset_id, "/estimate?model=gpt-3.5-turbo")
        assert (before["tokens"], before["amount"]) == (None, None)
        assert "cl100k_base" in before["reason"]
        assert "repeat the request" in before["reason"]
    work()
    after = show(alice, dataset_id, "/estimate?model=gpt-3.5-turbo&n_epochs=2")
    exact = check(BytesIO(content), model="gpt-3.5-turbo").statistics.tokens
    assert exact
    assert (after["tokens"], after["billed_tokens"]) == (exact.total, 2 * exact.total)
    assert show(alice, dataset_id) == report
    assert row(Dataset, dataset_id).due_at is None


def test_a_job_whose_model_reads_other_tokens_gets_its_estimate_once_they_are_counted(alice: Person) -> None:
    job_id = alice.create_job(model="gpt-3.5-turbo", hyperparameters={"n_epochs": 2})
    change(Job, job_id, created_at=datetime(2026, 1, 1, tzinfo=UTC))  # when it still had a price
    dataset_id = row(Job, job_id).training_file
    for _ in range(2):
        step(Dataset, dataset_id)
        assert row(Job, job_id).estimated_cost is None
    step(Dataset, dataset_id)
    cost = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["estimated_cost"]
    exact = show(alice, dataset_id, "/estimate?model=gpt-3.5-turbo&n_epochs=2")
    assert (cost["tokens"], cost["currency"]) == (exact["billed_tokens"], "USD")
    assert Decimal(cost["amount"]) == Decimal(8) * cost["tokens"] / 1_000_000


def test_a_job_carries_its_estimate_and_then_its_cost(alice: Person, sandbox: Sandbox) -> None:
    dataset_id = alice.upload()
    work(2)
    job_id = alice.create_job(training_file=dataset_id, hyperparameters={"n_epochs": 2})
    before = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    sandbox.move(work_until_created(job_id), status="succeeded")
    work()
    after = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    assert (before["estimated_cost"]["currency"], before["cost"]) == ("USD", None)
    assert Decimal(after["cost"]["amount"]) == Decimal(after["trained_tokens"]) * 3 / 1_000_000


def test_a_job_that_is_there_before_the_tokens_gets_its_estimate_when_they_are(alice: Person) -> None:
    job_id = alice.create_job()
    address = f"/fine_tuning/jobs/{job_id}"
    before = alice.http.get(address).json()["estimated_cost"]
    work(2)
    assert (before, alice.http.get(address).json()["estimated_cost"]["currency"]) == (None, "USD")
