"""One sandbox process for all tests of this folder, emptied before each of them."""

from collections.abc import Iterator

import pytest

from tests.sandbox.process import Sandbox


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=0, max_file_bytes=1_000_000, max_part_bytes=500_000, max_jobs_per_day=6) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """An empty sandbox where a job stands still until it is moved; it allows three active jobs per model, six a day."""
    running_sandbox.control("reset")
    return running_sandbox


@pytest.fixture
def fast_sandbox() -> Iterator[Sandbox]:
    """A sandbox whose jobs run by themselves, 200 times as fast as OpenAI's. Its test waits for an end, never less."""
    with Sandbox(speed=200, max_active_jobs_per_model=10) as sandbox:
        yield sandbox
