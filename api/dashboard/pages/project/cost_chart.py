"""Options of ECharts for costs: a bar for each day and currency, with a part for each line item."""

from typing import Any

from shared.budgets.costs import CostBucket
from shared.db.times import from_epoch

MAX_ITEMS = 12


def bars(days: list[CostBucket]) -> dict[str, Any]:
    """Return the options. The items that cost most have a colour each, the rest is summed up as «others»."""
    amounts: dict[tuple[str, str], dict[int, float]] = {}
    for index, day in enumerate(days):
        for each in day.results:
            of_item = amounts.setdefault((str(each.line_item), each.amount.currency.upper()), {})
            of_item[index] = of_item.get(index, 0.0) + each.amount.value
    ranked = sorted(amounts, key=lambda name: -sum(amounts[name].values()))
    shown = {name: amounts[name] for name in ranked[:MAX_ITEMS]}
    for name in ranked[MAX_ITEMS:]:
        others = shown.setdefault(("others", name[1]), {})
        for index, amount in amounts[name].items():
            others[index] = others.get(index, 0.0) + amount
    return {
        "backgroundColor": "transparent",
        "animation": False,
        "aria": {"enabled": True},
        "legend": {"type": "scroll", "top": 0},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "axisPointer": {"type": "shadow"}},
        "grid": {"left": 72, "right": 24, "top": 40, "bottom": 32},
        "xAxis": {"type": "category", "data": [f"{from_epoch(day.start_time):%Y-%m-%d}" for day in days]},
        "yAxis": {"type": "value", "name": "cost"},
        "series": [
            {
                "name": f"{item} ({currency})",
                "type": "bar",
                "stack": currency,
                "data": [of.get(index, 0) for index in range(len(days))],
            }
            for (item, currency), of in shown.items()
        ],
    }
