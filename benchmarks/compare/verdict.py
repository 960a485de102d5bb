"""Reads the tables of benchmarks, and judges a figure by the target beside it."""

import re
from collections.abc import Iterator
from itertools import takewhile
from operator import eq, ge, gt, le, lt

Row = tuple[str, str, str]
_IS_MET = {"≤": le, "<": lt, "≥": ge, ">": gt, "=": eq}
_BOUND = re.compile(r"([≤<≥>=]) ?([\d.,]+) ?([A-Za-z%×/]*)")
_FIGURE = re.compile(r"(?<![\w.])(-?[\d.,]*\d) ?([A-Za-z%×/]*)")
_SECONDS = {"ms": 0.001, "s": 1.0}


def rows_of_table(printed: str) -> Iterator[Row]:
    """The rows that `print_table` has printed."""
    lines = printed.splitlines()
    heads = [number for number, line in enumerate(lines) if re.match(r"what +target +measured$", line)]
    for head in heads:
        target, measured = lines[head].index("target"), lines[head].index("measured")
        for line in takewhile(bool, lines[head + 1 :]):
            yield line[:target].rstrip(), line[target:measured].rstrip(), line[measured:]


def verdict(target: str, measured: str) -> bool | None:
    """Whether each bound of the target holds for the next figure of its unit; None if the target has none."""
    bounds, figures = _BOUND.findall(target), [_amount(*figure) for figure in _FIGURE.findall(measured)]
    held = []
    for sign, bound, unit in bounds:
        limit, kind = _amount(bound, unit)
        found = next((place for place, (_, each) in enumerate(figures) if each == kind), None)
        if found is None:
            return None
        held.append(bool(_IS_MET[sign](figures[found][0], limit)))
        del figures[: found + 1]
    return all(held) if held else None


def _amount(number: str, unit: str) -> tuple[float, str]:
    """Times in seconds."""
    value = float(number.rstrip(".,").replace(",", ""))
    return (value * _SECONDS[unit], "s") if unit in _SECONDS else (value, unit)
