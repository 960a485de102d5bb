"""Options of ECharts, as JSON: a job's curves, and the frame of all curves by step. And small drawings for lists."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from api.dashboard.formats import significant
from shared.jobs.metrics import JobMetrics, MetricsPoint

POINTS = 1_000
Series = dict[str, Any]
Curve = list[list[float]]
LOSSES = {"train_loss": "Training", "valid_loss": "Validation", "full_valid_loss": "Full validation"}
ACCURACIES = {
    "train_mean_token_accuracy": "Training",
    "valid_mean_token_accuracy": "Validation",
    "full_valid_mean_token_accuracy": "Full validation",
}
COLOURS = {"Training": "#6366f1", "Validation": "#d97706", "Full validation": "#059669"}
SYMBOLS_BELOW = 60  # points of a curve: fewer are drawn as dots too, or one alone would not be seen
DIGITS = 5
SMOOTHING = (0.0, 0.6, 0.9)
SPARK_WIDTH, SPARK_HEIGHT = 96, 24
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
    panes = [("loss", _series(metrics.points, LOSSES, 0, smoothing))]
    if accuracies := _series(metrics.points, ACCURACIES, 1, smoothing):
        panes.append(("token accuracy", accuracies))
    series = [each for _, found in panes for each in found]
    if series and checkpoints:
        series[0]["markLine"] = _marks(checkpoints)
    options = frame(panes, is_log=is_log)
    if series:
        options["color"] = list(COLOURS.values())
        options["legend"] = {"data": list(dict.fromkeys(each["name"] for each in series)), "top": 0}
    return options


def frame(panes: Sequence[tuple[str, list[Series]]], *, is_log: bool) -> dict[str, Any]:
    """Return the options for panes above each other, each with its name and series; their cursors move together."""
    series = [each for _, found in panes for each in found]
    if not series:
        return {"backgroundColor": "transparent", "title": _NOTHING_YET}
    many = len(panes) > 1
    return {
        "backgroundColor": "transparent",
        "animation": False,
        "aria": {"enabled": True},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "axisPointer": {"type": "line"}},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "grid": [
            {"left": 56, "right": 24, "top": 36, "height": "44%" if many else "72%"},
            *([{"left": 56, "right": 24, "top": "66%", "height": "22%"}] if many else []),
        ],
        "xAxis": [
            {"type": "value", "gridIndex": index, "min": "dataMin", "max": "dataMax", "minInterval": 1}
            | {"axisPointer": {"label": {"precision": 0, "formatter": f"{name}, step {{value}}"}}}
            | ({"name": "step", "nameLocation": "middle", "nameGap": 26} if index == len(panes) - 1 else {})
            for index, (name, _) in enumerate(panes)
        ],
        "yAxis": [
            {"type": "log" if is_log and index == 0 else "value", "gridIndex": index, "name": name, "scale": True}
            for index, (name, _) in enumerate(panes)
        ],
        "dataZoom": [{"type": "inside", "xAxisIndex": list(range(len(panes))), "zoomOnMouseWheel": "shift"}],
        "series": series,
    }


def sparkline(curve: Sequence[tuple[int, float]]) -> Markup:
    """Return a small drawing of a training loss, given as steps and losses."""
    steps, losses = [step for step, _ in curve], [loss for _, loss in curve]
    across, up = max(steps) - min(steps) or 1, max(losses) - min(losses) or 1
    places = [
        (2 + (step - steps[0]) / across * (SPARK_WIDTH - 4), 2 + (max(losses) - loss) / up * (SPARK_HEIGHT - 4))
        for step, loss in curve
    ]
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawing = (
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="Training loss from {} to {}">'
        '<polyline points="{}"/><circle cx="{:.1f}" cy="{:.1f}" r="2"/></svg>'
    )
    ends = significant(losses[0]), significant(losses[-1])
    return Markup(drawing).format(SPARK_WIDTH, SPARK_HEIGHT, *ends, corners, *places[-1])


def _series(points: list[MetricsPoint], names: dict[str, str], pane: int, smoothing: float) -> list[Series]:
    return [
        line(label, pane, data if label != "Training" else smoothed(data, smoothing), COLOURS[label])
        for field, label in names.items()
        if (data := values(points, field))
    ]


def values(points: list[MetricsPoint], field: str) -> Curve:
    """Return step and value of each point that has this metric, with as many digits as anybody reads."""
    known = ((point.step, getattr(point, field)) for point in points)
    return [[step, float(f"{value:.{DIGITS}g}")] for step, value in known if value is not None]


def line(name: str, pane: int, data: Curve, colour: str, **style: Any) -> Series:
    return {
        "name": name,
        "type": "line",
        "xAxisIndex": pane,
        "yAxisIndex": pane,
        "data": data,
        "showSymbol": len(data) < SYMBOLS_BELOW,
        "itemStyle": {"color": colour},
        "lineStyle": {"width": 1.6, **style},
        "emphasis": {"disabled": True},
    }


def smoothed(data: Curve, smoothing: float) -> Curve:
    """Return an exponential moving average, corrected for its beginning at zero."""
    if smoothing == 0:
        return data
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
