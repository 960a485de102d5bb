"""The chart of costs never adds one currency to another."""

from api.dashboard.pages.project.cost_chart import MAX_ITEMS, bars
from shared.budgets.costs import CostAmount, CostBucket, CostResult


def cost(item: str, currency: str, value: float) -> CostResult:
    amount = CostAmount(value=value, currency=currency, exact_value=str(value))
    return CostResult(amount=amount, line_item=item, project_id=None, quantity=None, quantity_unit=None)


def test_each_currency_has_a_bar_and_a_rest_of_its_own() -> None:
    many = [cost(f"training of {number}", "usd", 100.0 - number) for number in range(MAX_ITEMS)]
    rest = [cost("small", "usd", 1.0), cost("smaller", "usd", 0.5), cost("petit", "eur", 2.0)]
    day = CostBucket(start_time=0, end_time=86_400, results=many + rest)
    series = {each["name"]: (each["stack"], each["data"]) for each in bars([day])["series"]}
    assert series["others (USD)"] == ("USD", [1.5])
    assert series["others (EUR)"] == ("EUR", [2.0])
    assert len(series) == MAX_ITEMS + 2
