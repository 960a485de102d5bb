"""What questions cost: in the usage, in the ledger and so in the budget, which refuses them once it is used up."""

import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from openai import RateLimitError

from api.chat import spent
from shared.database import transaction
from shared.db.times import utc_now
from shared.errors import SpendLimitExceeded
from shared.inference.prices import list_prices, rates_of
from shared.inference.recording import Place, Used, record
from tests.api.administration import Operator
from tests.api.test_chat import BASE, question
from tests.api.test_inference_usage import written
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts
from tests.worker.support import settings
from tests.world import Person, Sandbox

DAY = 86_400
MILLION = 1_000_000
OWN = '[{"provider": "openai", "base": "*", "input_per_million_tokens": 2, "output_per_million_tokens": 8}]'


@pytest.fixture(autouse=True)
def budgets_are_looked_up() -> Iterator[None]:
    spent.forget()
    yield
    spent.forget()


def use(person: Person, used: Used, *, model: str = BASE, provider: str = "openai", is_deployed: bool = False) -> None:
    with transaction(person.project_id) as session:
        record(session, person.project_id, utc_now().date(), {Place(model, provider, is_deployed): used})


def costs(operator: Operator) -> list[tuple[str, int]]:
    """What today's usage has cost, and how many answers are of unknown price, of each model."""
    page = operator.openai.admin.organization.usage.completions(start_time=int(time.time()), group_by=["model"])
    results: list[Any] = list(page.data[0].results)
    return [(each.amount["exact_value"], each.cost_unknown) for each in results]


def test_an_answer_is_priced_in_the_usage_the_ledger_and_the_costs(operator: Operator, alice: Person) -> None:
    use(alice, Used(2, 3 * MILLION, MILLION, MILLION))
    assert costs(operator) == [("0.975", 0)]  # 2 × 0.15 + 0.075 + 0.60
    [entry] = operator.entries(alice)
    assert (entry["kind"], entry["amount"], entry["quantity"]) == ("settle", "0.975", 4 * MILLION)
    assert (entry["line_item"], entry["reason"]) == (f"{BASE}, inference", "Answers to 2 questions")
    page = operator.openai.admin.organization.usage.costs(
        start_time=int(time.time()) // DAY * DAY, group_by=["line_item"]
    )
    result: Any = page.data[0].results[0]
    assert (result.amount.to_dict()["exact_value"], result.line_item) == ("0.975", f"{BASE}, inference")


def test_a_question_over_http_is_priced(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    usage = alice.openai.chat.completions.create(model=name, messages=question()).usage
    assert usage is not None
    assert set(written(alice)) == {name}
    [(amount, unknown)] = costs(operator)
    paid = (Decimal("0.30") * usage.prompt_tokens + Decimal("1.20") * usage.completion_tokens) / MILLION
    assert (Decimal(amount), unknown) == (paid, 0)


def test_what_has_no_price_is_said_and_costs_nothing(operator: Operator, alice: Person) -> None:
    use(alice, Used(3, MILLION, 0, MILLION), model="Qwen/Qwen3-8B", provider="nebius")
    assert costs(operator) == [("0.00", 3)]
    assert operator.entries(alice) == []


def test_what_a_deployment_answers_is_paid_by_the_hour(operator: Operator, alice: Person) -> None:
    use(alice, Used(3, MILLION, 0, MILLION), is_deployed=True)
    assert costs(operator) == [("0.00", 0)]
    assert operator.entries(alice) == []


def test_one_name_at_two_providers_has_two_prices(operator: Operator, alice: Person) -> None:
    places = {Place(BASE, "openai"): Used(1, MILLION, 0, 0), Place(BASE, "azure"): Used(1, MILLION, 0, 0)}
    with transaction(alice.project_id) as session:
        record(session, alice.project_id, utc_now().date(), places)
    assert costs(operator) == [("0.15", 1)]


def test_the_operators_own_price_goes_first(operator: Operator, alice: Person) -> None:
    with settings(TUNERY_PRICES=OWN):
        use(alice, Used(1, MILLION, MILLION, MILLION))
    assert costs(operator) == [("10.00", 0)]


def test_a_price_counts_from_its_day_to_its_last(alice: Person) -> None:
    with transaction(alice.project_id) as session:
        for day, is_known in [(date(2026, 10, 22), True), (date(2026, 10, 23), False), (date(2025, 4, 13), False)]:
            rates = rates_of(session, alice.project_id, "openai", "ft:gpt-4.1-nano-2025-04-14:x:y:z", day)
            assert (rates is not None) is is_known


def test_every_price_says_where_it_is_from() -> None:
    keys = [(each.provider, each.base, each.is_tuned, each.since) for each in list_prices()]
    assert len(set(keys)) == len(keys)
    assert all(each.source and each.as_of >= each.since for each in list_prices())


def test_a_used_up_budget_refuses_questions_as_it_refuses_jobs(
    operator: Operator, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    meet_the_base_models(alice)
    operator.limit(alice, 10)
    alice.openai.chat.completions.create(model=BASE, messages=question())
    use(alice, Used(1, MILLION, 0, 0))
    spent.forget()
    for stream in (False, True):
        with pytest.raises(RateLimitError, match=r"0.00 USD is left of .* spend limit of 0.10 USD") as refused:
            alice.openai.chat.completions.create(model=BASE, messages=question(), stream=stream)
        assert facts(refused.value) == (429, "project_spend_limit_exceeded", None)
        assert str(refused.value.message).endswith(
            "ended. Wait until next month, or ask your operator for a higher limit"
        )
        assert refused.value.response.headers["x-should-retry"] == "false"
    assert bob.openai.chat.completions.create(model=BASE, messages=question()).choices
    operator.limit(alice, 100)
    spent.forget()
    assert alice.openai.chat.completions.create(model=BASE, messages=question()).choices


def test_what_has_no_price_is_not_refused(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    operator.limit(alice, 0)
    with transaction(alice.project_id) as session:
        spent.check(session, alice.project_id, Place(BASE, "elsewhere"))
        spent.check(session, alice.project_id, Place(BASE, "openai", is_deployed=True))


def test_a_threshold_is_notified_by_questions_too(operator: Operator, alice: Person) -> None:
    operator.limit(alice, 30, alert_percentages=[50])
    use(alice, Used(1, MILLION, 0, 0))
    [event] = alice.http.get("/webhook_events").json()["data"]
    assert event["type"] == "budget.threshold_reached"


def test_a_budget_is_not_looked_up_for_each_question(
    alice: Person, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spent, "LOOK_AGAIN_SECONDS", 1e9)
    place = Place(BASE, "openai")
    with transaction(alice.project_id) as session:
        spent.check(session, alice.project_id, place)
    operator.limit(alice, 0)
    with transaction(alice.project_id) as session:
        spent.check(session, alice.project_id, place)
        spent.forget()
        with pytest.raises(SpendLimitExceeded):
            spent.check(session, alice.project_id, place)
