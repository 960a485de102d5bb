"""For the commands that speak to a server or to its database."""

import pytest

from shared.database import transaction
from shared.projects import service as projects
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


@pytest.fixture
def as_admin(clean: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An admin key of the server of this test, and the variables by which the commands find both."""
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    monkeypatch.setenv("OPENAI_BASE_URL", clean)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", secret)
