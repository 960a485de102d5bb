"""For the commands that speak to a server or to its database."""

import pytest

from tests.cli.terminal import Tunery, terminal
from tests.world import Person


@pytest.fixture
def tunery(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tunery:
    """`tunery("webhooks", "list")`: its output and its exit code."""
    return terminal(monkeypatch, capsys)


@pytest.fixture
def at_alices(alice: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Alice, with the variables of her project set."""
    monkeypatch.setenv("OPENAI_BASE_URL", alice.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", alice.api_key)
    return alice
