"""A curve in the terminal, drawn with braille dots: each character has two columns of four."""

from collections.abc import Sequence
from itertools import pairwise

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of the left and the right column, from the top
BLANK = 0x2800


def draw(values: Sequence[float], width: int = 60, height: int = 8) -> list[str]:
    """The lines of a chart, with the highest and the lowest value at its side; a column of dots is a mean of values."""
    columns = _averaged(values, min(width * 2, len(values)))
    top, bottom = max(columns), min(columns)
    cells = [[BLANK] * ((len(columns) + 1) // 2) for _ in range(height)]
    levels = height * 4 - 1
    for x, value in enumerate(columns):
        y = round((top - value) / (top - bottom or 1) * levels)
        cells[y // 4][x // 2] |= DOTS[x % 2][y % 4]
    labels = {0: f"{top:.2f}", height - 1: f"{bottom:.2f}"}
    return [f"{labels.get(row, ''):>6} ┤{''.join(map(chr, line))}" for row, line in enumerate(cells)]


def _averaged(values: Sequence[float], count: int) -> list[float]:
    edges = [round(index * len(values) / count) for index in range(count + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
