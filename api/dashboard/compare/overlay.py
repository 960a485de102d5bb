"""Options of ECharts: the curves of several jobs over each other. A job is a colour and a letter, a kind a stroke."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.dashboard.charts import ACCURACIES, LOSSES, Curve, Series, frame, line, smoothed, values
from api.dashboard.compare.selection import KINDS, Column, Wanted
from shared.jobs.metrics import MetricsPoint

POINTS = 400  # of the longest job
MOST_TOLD = 8  # curves of a pane of which the tooltip tells all; of more, it tells one of each job
COLOURS = ("#4f52e0", "#b45309", "#047857", "#db2777", "#0369a1", "#64748b", "#9333ea", "#dc2626")  # `.of-a` …
_STROKES: dict[str, dict[str, Any]] = {
    "Training": {"width": 1.2, "opacity": 0.6},
    "Validation": {"width": 2.2},
    "Full validation": {"width": 2, "type": "dashed"},
}


def options(columns: Sequence[Column], points: Mapping[str, list[MetricsPoint]], wanted: Wanted) -> dict[str, Any]:
    """Return the options for losses above and accuracies below, of the kinds that are wanted."""
    panes: list[tuple[str, list[Series]]] = []
    for name, fields in (("loss", LOSSES), ("token accuracy", ACCURACIES)):
        if found := _pane(columns, points, wanted, fields, len(panes)):
            panes.append((name, found))
    made = frame(panes, is_log=wanted.log)
    if panes:
        made["tooltip"] |= {"order": "valueAsc" if panes[0][0] == "loss" else "valueDesc", "confine": True}
        made["tooltip"]["textStyle"] = {"fontSize": 11}
    return made


def _pane(
    columns: Sequence[Column],
    points: Mapping[str, list[MetricsPoint]],
    wanted: Wanted,
    fields: Mapping[str, str],
    pane: int,
) -> list[Series]:
    kinds = {KINDS[kind] for kind in wanted.kinds}
    found = []
    for place, column in enumerate(columns):
        own: list[Series] = []
        for field, kind in fields.items():
            data = values(points[column.job.id], field) if kind in kinds else []
            if data:
                drawn = smoothed(data, wanted.smooth) if kind == "Training" else data
                own.append(_line(column, kind, pane, drawn, COLOURS[place], is_alone=len(kinds) == 1))
        if len(columns) * len(kinds) > MOST_TOLD:
            own = [each | {"tooltip": {"show": each is own[-1]}} for each in own]
        if own:
            own[-1]["markPoint"] = _letter(column.letter, own[-1]["data"][-1], COLOURS[place])
        found += own
    return found


def _line(column: Column, kind: str, pane: int, data: Curve, colour: str, *, is_alone: bool) -> Series:
    name = f"{column.letter} · {kind.lower()}"
    stroke = _STROKES["Validation"] if is_alone else _STROKES[kind]
    return line(name, pane, data, colour, **stroke) | {"showSymbol": len(data) == 1}


def _letter(letter: str, end: list[float], colour: str) -> dict[str, Any]:
    """The letter of a job at the end of its curve, for those who do not tell colours apart."""
    return {
        "symbol": "circle",
        "symbolSize": 16,
        "silent": True,
        "itemStyle": {"color": colour},
        "label": {"formatter": letter, "color": "#fff", "fontSize": 10, "fontWeight": "bold"},
        "data": [{"coord": end}],
    }
