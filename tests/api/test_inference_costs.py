"""What questions cost: in the usage, in the ledger and so in the budget, which refuses them once it is used up."""

import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from openai import RateLimitError

from api.chat import spent
from shared.budgets import ledger
from shared.database import transaction
from shared.db.times import utc_now
from shared.errors import SpendLimitExceeded
from shared.inference import recording
from shared.inference.prices import list_prices, rates_of
from shared.inference.recording import Place, Used, record
from tests.api.administration import Operator
from tests.api.test_chat import BASE, question
from tests.api.test_inference_usage import written
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts
from tests.worker.support import settings
from tests.world import Person, Sandbox
from worker.runtime.scheduler import forget

DAY = 86_400
MILLION = 1_000_000
OWN = '[{"provider": "openai", "base": "*", "input_per_million_tokens": 2, "output_per_million_tokens": 8}]'


@pytest.fixture(autouse=True)
def budgets_are_looked_up() -> Iterator[None]:
    spent.forget()
    yield
    spent.forget()


def use(
    person: Person,
    used: Used,
    *,
    model: str = BASE,
    provider: str = "openai",
    is_deployed: bool = False,
    days_ago: int = 0,
) -> None:
    day = (utc_now() - timedelta(days=days_ago)).date()
    with transaction(person.project_id) as session:
        record(session, person.project_id, day, {Place(model, provider, is_deployed): used})


def post() -> None:
    """What the scheduler does each hour: enter days that are over in the ledger."""
    while forget():
        pass


def spent_on(operator: Operator, days_ago: int, **query: Any) -> list[tuple[str, str]]:
    """The costs of a day by line item."""
    start = int((utc_now() - timedelta(days=days_ago)).timestamp()) // DAY * DAY
    page = operator.openai.admin.organization.usage.costs(start_time=start, limit=1, group_by=["line_item"], **query)
    results: list[Any] = list(page.data[0].results)
    return [(each.line_item, each.amount.to_dict()["exact_value"]) for each in results]


def costs(operator: Operator) -> list[tuple[str, int]]:
    """What today's usage has cost, and how many answers are of unknown price, of each model."""
    page = operator.openai.admin.organization.usage.completions(start_time=int(time.time()), group_by=["model"])
    results: list[Any] = list(page.data[0].results)
    return [(each.amount["exact_value"], each.cost_unknown) for each in results]


def test_an_answer_is_priced_in_the_usage_and_the_costs(operator: Operator, alice: Person) -> None:
    use(alice, Used(2, 3 * MILLION, MILLION, MILLION))
    assert costs(operator) == [("0.975", 0)]  # 2 × 0.15 + 0.075 + 0.60
    assert spent_on(operator, 0) == [(f"{BASE}, inference", "0.975")]
    since_a_minute_ago = operator.openai.admin.organization.usage.costs(start_time=int(time.time()) - 60)
    results: list[Any] = [each for day in since_a_minute_ago.data for each in day.results]
    assert [each.amount.to_dict()["exact_value"] for each in results] == ["0.975"]


def test_all_answers_of_a_day_are_one_entry_of_the_ledger_when_it_is_over(
    operator: Operator, alice: Person, bob: Person
) -> None:
    for _ in range(3):
        use(alice, Used(1, MILLION, 0, 0), days_ago=2)
    use(alice, Used(1, MILLION, 0, 0))
    use(bob, Used(1, 0, 0, MILLION), days_ago=2)
    assert operator.entries(alice) == []
    before = spent_on(operator, 2), spent_on(operator, 0)
    assert before == ([(f"{BASE}, inference", "1.05")], [(f"{BASE}, inference", "0.15")])
    for _ in range(2):
        post()
    [entry] = operator.entries(alice)
    assert (entry["kind"], entry["amount"], entry["quantity"]) == ("settle", "0.45", 3 * MILLION)
    day = (utc_now() - timedelta(days=2)).date()
    assert (entry["line_item"], entry["reason"]) == (f"{BASE}, inference", f"What came on {day}")
    assert entry["created_at"] // DAY * DAY == entry["created_at"] + 1 - DAY
    assert (spent_on(operator, 2), spent_on(operator, 0)) == before
    assert [each["amount"] for each in operator.entries(bob)] == ["0.60"]


def test_what_is_written_late_is_an_entry_of_its_own_on_the_same_day(operator: Operator, alice: Person) -> None:
    for _ in range(2):
        use(alice, Used(1, MILLION, 0, 0), days_ago=2)
        post()
    assert [entry["amount"] for entry in operator.entries(alice)] == ["0.15", "0.15"]
    assert spent_on(operator, 2) == [(f"{BASE}, inference", "0.30")]


def test_it_counts_for_the_month_of_its_day(alice: Person) -> None:
    day = utc_now().date().replace(day=1) - timedelta(days=1)
    with transaction(alice.project_id) as session:
        record(session, alice.project_id, day, {Place(BASE, "openai"): Used(1, MILLION, 0, 0)})
    for _ in range(2):
        with transaction() as session:
            sums = [ledger.sums(session, alice.project_id, each) for each in (day.replace(day=1), ledger.this_month())]
        assert [each.spent for each in sums] == [Decimal("0.15"), 0]
        post()


def test_line_items_of_a_day_are_bounded(operator: Operator, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_MODELS_A_DAY", 2)
    with settings(TUNERY_PRICES=OWN):
        for number in range(4):
            use(alice, Used(1, MILLION, 0, 0), model=f"model-{number}")
    others = ("other models, inference", "4.00")
    assert spent_on(operator, 0) == [("model-0, inference", "2.00"), ("model-1, inference", "2.00"), others]


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
