"""One sandbox for all tests of this folder, forgetting everything between two of them."""

from collections.abc import Iterator

import pytest

from tests.sandbox.process import Sandbox


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(speed=200, max_file_bytes=1_000_000, max_part_bytes=500_000, max_jobs_per_day=6) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """A sandbox in which nothing has happened yet: 200 times as fast as life, three jobs a model, six a day."""
    running_sandbox.control("reset")
    return running_sandbox
