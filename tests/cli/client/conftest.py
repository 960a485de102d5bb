"""Servers that the client's commands ask: all of Tunery as processes, and one that speaks OpenAI's API alone."""

from pathlib import Path

import pytest

from tests.world import RunningStack, Sandbox, lines


@pytest.fixture
def at_stack(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    monkeypatch.setenv("OPENAI_BASE_URL", stack.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", stack.api_key)
    return stack


@pytest.fixture
def at_openai(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox itself: a server without anything of Tunery's own."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{sandbox.address}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox")
    return sandbox


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A file that can be trained on."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(lines())
    return path
