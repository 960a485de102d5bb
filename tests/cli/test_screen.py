"""The demo's screen: a bar and a curve where they can be seen, plain lines anywhere else."""

import io

import pytest

from cli.local.screen import Screen

LOSSES = [2.0, 1.5, 1.2, 1.0]


class Terminal(io.StringIO):
    """A terminal that keeps what it is told."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class OldTerminal(Terminal):
    encoding = "latin-1"


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def shown_on(stream: io.StringIO) -> str:
    screen = Screen(stream)
    screen.done("uploaded")
    with screen.training() as training:
        for number, loss in enumerate(LOSSES, start=1):
            training.step(number, len(LOSSES), loss)
    screen.loss_curve(LOSSES)
    screen.side_by_side("What is a loss?", {"base": "A number.", "tuned": "A grief."})
    return stream.getvalue()


def test_a_terminal_shows_a_tick_a_bar_and_a_curve() -> None:
    shown = shown_on(Terminal())
    assert "✓" in shown
    assert "━" in shown
    assert "2.00 ┤" in shown
    assert "A grief." in shown


def test_without_a_terminal_there_are_plain_lines_alone() -> None:
    assert shown_on(io.StringIO()).splitlines() == [
        "ok  uploaded",
        "    step 4/4, training loss 1.00",
        "    Question: What is a loss?",
        "    base: A number.",
        "    tuned: A grief.",
    ]


@pytest.mark.parametrize("wish", ["NO_COLOR", "CI"])
def test_who_wishes_gets_plain_lines_in_a_terminal_too(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(wish, "1")
    assert shown_on(Terminal()) == shown_on(io.StringIO())


def test_a_terminal_without_unicode_gets_plain_lines() -> None:
    assert "┤" not in shown_on(OldTerminal())
