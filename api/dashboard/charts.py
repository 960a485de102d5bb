"""Options of ECharts, as JSON: the curves of a job's metrics."""

from collections.abc import Sequence
from typing import Any

from shared.jobs.metrics import JobMetrics, MetricsPoint

POINTS = 1_000
_LOSSES = {"train_loss": "Training", "valid_loss": "Validation", "full_valid_loss": "Full validation"}
_ACCURACIES = {
    "train_mean_token_accuracy": "Training",
    "valid_mean_token_accuracy": "Validation",
    "full_valid_mean_token_accuracy": "Full validation",
}
COLOURS = {"Training": "#6366f1", "Validation": "#d97706", "Full validation": "#059669"}
SYMBOLS_BELOW = 60  # points of a curve: fewer are drawn as dots too, or one alone would not be seen
SMOOTHING = (0.0, 0.6, 0.9)
_NOTHING_YET = {
    "text": "No metrics yet: they come with the first step",
    "left": "center",
    "top": "middle",
    "textStyle": {"fontSize": 14, "fontWeight": "normal", "color": "#8b8b96"},
}


def curves(metrics: JobMetrics, checkpoints: Sequence[int], *, is_log: bool, smoothing: float) -> dict[str, Any]:
    """Return the options for losses above and accuracies below, whose cursors move together.

    `checkpoints` are the steps at which a model was saved. `smoothing` (0–1, 1 excluded) is the weight of what was
    before in a moving average of the training's curves; validation is shown as it is.
    """
    panes = [("loss", _series(metrics.points, _LOSSES, 0, smoothing))]
    if accuracies := _series(metrics.points, _ACCURACIES, 1, smoothing):
        panes.append(("token accuracy", accuracies))
    series = [each for _, found in panes for each in found]
    if series and checkpoints:
        series[0]["markLine"] = _marks(checkpoints)
    if not series:
        return {"backgroundColor": "transparent", "title": _NOTHING_YET}
    many = len(panes) > 1
    return {
        "backgroundColor": "transparent",
        "animation": False,
        "aria": {"enabled": True},
        "color": list(COLOURS.values()),
        "legend": {"data": list(dict.fromkeys(each["name"] for each in series)), "top": 0},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "axisPointer": {"type": "line"}},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "grid": [
            {"left": 56, "right": 24, "top": 36, "height": "44%" if many else "72%"},
            *([{"left": 56, "right": 24, "top": "66%", "height": "22%"}] if many else []),
        ],
        "xAxis": [
            {"type": "value", "gridIndex": index, "min": "dataMin", "max": "dataMax", "minInterval": 1}
            | ({"name": "step", "nameLocation": "middle", "nameGap": 26} if index == len(panes) - 1 else {})
            for index in range(len(panes))
        ],
        "yAxis": [
            {"type": "log" if is_log and index == 0 else "value", "gridIndex": index, "name": name, "scale": True}
            for index, (name, _) in enumerate(panes)
        ],
        "dataZoom": [{"type": "inside", "xAxisIndex": list(range(len(panes))), "zoomOnMouseWheel": "shift"}],
        "series": series,
    }


def _series(points: list[MetricsPoint], names: dict[str, str], pane: int, smoothing: float) -> list[dict[str, Any]]:
    found = []
    for field, label in names.items():
        data = [[point.step, value] for point in points if (value := getattr(point, field)) is not None]
        if not data:
            continue
        is_smoothed = smoothing > 0 and label == "Training"
        found.append(
            {
                "name": label,
                "type": "line",
                "xAxisIndex": pane,
                "yAxisIndex": pane,
                "data": _smoothed(data, smoothing) if is_smoothed else data,
                "showSymbol": len(data) < SYMBOLS_BELOW,
                "itemStyle": {"color": COLOURS[label]},
                "lineStyle": {"width": 1.6},
                "emphasis": {"disabled": True},
            }
        )
    return found


def _smoothed(data: list[list[float]], smoothing: float) -> list[list[float]]:
    """Return an exponential moving average, corrected for its beginning at zero."""
    kept, weight, smooth = 0.0, 0.0, []
    for step, value in data:
        kept = kept * smoothing + value * (1 - smoothing)
        weight = weight * smoothing + 1 - smoothing
        smooth.append([step, round(kept / weight, 6)])
    return smooth


def _marks(steps: Sequence[int]) -> dict[str, Any]:
    return {
        "symbol": "none",
        "silent": True,
        "label": {"formatter": "checkpoint", "position": "insideEndTop", "fontSize": 10},
        "lineStyle": {"type": "dashed", "color": "#8b8b96"},
        "data": [{"xAxis": step} for step in steps],
    }
