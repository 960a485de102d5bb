"""A curve in the terminal."""

from cli.local.loss_chart import draw


def test_the_highest_value_is_at_the_top_and_the_lowest_at_the_bottom() -> None:
    chart = draw([2.0, 1.0], width=10, height=2)
    assert chart == ["  2.00 ┤⠁", "  1.00 ┤⢀"]


def test_it_is_never_wider_than_it_was_told() -> None:
    assert all(len(line) == len("  0.00 ┤") + 20 for line in draw(range(1000), width=20, height=4))


def test_a_flat_line_is_drawn_too() -> None:
    assert len(draw([1.0] * 7)) == 8
